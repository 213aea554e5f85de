/**
 * Connect the parts of the page: a drawing or picture, the network's answer, and its volumes.
 */

import { AnswerTable } from "#answer";
import { Blocks } from "#blocks";
import { pixelsOf, showGallery } from "#gallery";
import { Maps } from "#maps";
import { load } from "#network";
import { Pad } from "#pad";
import { facts, unpacked } from "#parts";
import { onPicture, read } from "#picture";
import { prepareEach } from "#preprocessing";
import { proofOf } from "#proof";

const wanted = facts.preprocessing;
const { width, height, channels } = wanted;

/**
 * @template {Element} [E=HTMLElement]
 * @param {string} id
 * @returns {E}
 */
function byId(id) {
  return /** @type {E} */ (/** @type {unknown} */ (document.getElementById(id)));
}

const canDraw = wanted.ink;
const loading = byId("verdict").textContent;
const start = canDraw ? "Draw a character, or choose a picture." : "Choose a picture.";
const depth = channels === 1 ? "" : ", in color";
byId("story").textContent = `${facts.story}, ${facts.parameters.toLocaleString("en")} parameters`;
byId("image-size").textContent = `the network's image: ${height}x${width} pixels${depth}`;
byId("pad").hidden = !canDraw;

let inputs = 0; // drawings and pictures so far

const table = new AnswerTable(byId("classes"), facts.labels);
/** @type {import("#parts").Volume} */
const input = {
  name: "image",
  kind: "image",
  lines: ["pixels"],
  shape: [height, width, channels],
  output: "image",
  operation: null,
};
const blocks = new Blocks(byId("blocks"), [input, ...facts.volumes], open);
const pad = new Pad(byId("paper"), byId("pen"), () => {
  inputs++;
  if (pad.isEmpty) remove();
  else answer(pad.pixels());
});
byId("undo").addEventListener("click", () => pad.undo());
byId("clear").addEventListener("click", () => pad.clear());
onPicture(byId("drop"), byId("file"), async (file) => {
  const own = ++inputs;
  try {
    const pixels = await read(file);
    if (inputs > own) return; // the user has drawn or chosen something else since
    pad.clear();
    answer(pixels);
  } catch (error) {
    if (inputs > own) return;
    pad.clear();
    clear(/** @type {Error} */ (error).message);
  }
});

/** @type {Maps | null} the feature maps of the open volume */
let maps = null;
/** @type {Map<string, Float32Array>} the values of all volumes, by output; empty without an answer */
let values = new Map();
/**
 * @typedef {import("#preprocessing").Prepared} Prepared
 * @type {{picture: ImageData, found?: Prepared[]} | null} the picture that waits for its answer
 */
let waiting = null;
let isBusy = false;
let isLoading = true;

const loaded = load();
Object.assign(self, { page: loaded.then((network) => ({ ...proofOf(network), settled })) });
loaded.then(
  () => {
    isLoading = false;
    if (byId("verdict").textContent === loading) clear(start);
  },
  ({ message }) => clear(`This browser cannot run the network: ${message}`),
);
fillGallery();

/**
 * Answer a picture, after the one that is being answered. Of several that wait, the last is taken.
 * @param {ImageData} picture
 * @param {Prepared[]} [found] the network's images of it, if they are known
 */
async function answer(picture, found) {
  waiting = { picture, found };
  if (isBusy) return;
  isBusy = true;
  try {
    const network = await loaded;
    while (waiting) {
      const next = waiting;
      waiting = null;
      await show(next.picture, next.found ?? prepareEach(next.picture, wanted), network);
      // So that the browser draws the answer before the next one.
      await new Promise((resolve) => requestAnimationFrame(resolve));
    }
  } catch (error) {
    clear(`This picture cannot be answered: ${/** @type {Error} */ (error).message}`);
  } finally {
    isBusy = false;
  }
}

/** Show the test images, if the page has any. */
async function fillGallery() {
  const { gallery } = facts;
  if (!gallery) return;
  byId("gallery-source").textContent = gallery.source;
  const areas = { errors: byId("errors"), others: byId("others") };
  showGallery({ ...facts, gallery }, await unpacked("pictures"), areas, (image) => {
    pad.clear();
    /** @type {import("#preprocessing").Box} */
    const box = [0, 0, width, height];
    answer(pixelsOf(image, width, channels), [{ image, steps: [], box }]);
  });
  byId("errors-title").hidden = areas.errors.hidden = !gallery.errors;
  byId("pictures-area").hidden = false;
}

/** Wait until no picture waits for its answer. */
async function settled() {
  while (isBusy) await new Promise((resolve) => requestAnimationFrame(resolve));
}

/**
 * Answer a picture, and show all that leads to the answer.
 * @param {ImageData} picture
 * @param {Prepared[]} found the network's images of it
 * @param {import("#network").Network} network
 */
async function show(picture, found, network) {
  if (found.length !== 1) {
    clear(found.length ? `${found.length} separate objects found` : "no ink found");
    showPicture(
      picture,
      found.map(({ box }) => box),
    );
    return;
  }
  const [{ image, steps, box }] = found;
  const { logits, volumes, milliseconds } = await network.classify(image);
  if (!logits.every(Number.isFinite)) {
    clear("The network computes logits that are not finite for this picture.");
    showPicture(picture, [box]);
    return;
  }
  values = new Map([...volumes, [input.output, Float32Array.from(image)]]);
  showPicture(picture, [box]);
  showImage(image);
  byId("steps").textContent = steps.join(", ") || "used unchanged";
  byId("verdict").textContent = table.show(logits);
  byId("time").textContent = `${milliseconds.toFixed(1)} ms in the network`;
  blocks.show(values);
  showMaps();
}

/** Remove the picture, and what waits. */
function remove() {
  waiting = null;
  clear(isLoading ? loading : start);
}

/**
 * Show no answer, but some words instead.
 * @param {string} words
 */
function clear(words) {
  values = new Map();
  table.clear();
  blocks.clear();
  for (const id of ["steps", "time"]) byId(id).textContent = "";
  for (const id of ["picture", "image"]) contextOf(id).reset();
  showMaps();
  byId("verdict").textContent = words;
}

/**
 * Show a picture with the parts that were used.
 * @param {ImageData} picture
 * @param {import("#preprocessing").Box[]} boxes
 */
function showPicture(picture, boxes) {
  const context = contextOf("picture");
  context.canvas.width = picture.width;
  context.canvas.height = picture.height;
  context.putImageData(picture, 0, 0);
  context.strokeStyle = "#d62728";
  context.lineWidth = Math.max(picture.width, picture.height) / 100;
  for (const [left, top, right, bottom] of boxes) {
    context.strokeRect(left, top, right - left, bottom - top);
  }
}

/**
 * Show the network's image.
 * @param {Uint8Array} image
 */
function showImage(image) {
  const context = contextOf("image");
  context.canvas.width = width;
  context.canvas.height = height;
  context.putImageData(pixelsOf(image, width, channels), 0, 0);
}

/**
 * Open the feature maps of a volume; close them if they are open.
 * @param {import("#parts").Volume} volume
 */
async function open(volume) {
  const elements = { canvas: canvasOf("feature-maps"), text: byId("cell") };
  maps = maps?.volume === volume ? null : new Maps(volume, elements, await loaded);
  showMaps();
}

/** Show the feature maps of the open volume, if there is one. */
function showMaps() {
  const shown = maps && values.get(maps.volume.output);
  byId("maps").hidden = !shown;
  blocks.mark(shown && maps ? maps.volume : null);
  if (!maps || !shown) return;
  const { volume } = maps;
  byId("maps-title").textContent = `${volume.name}: ${volume.shape.join("x")}`;
  const read = [input, ...facts.volumes].find(({ output }) => output === volume.operation?.reads);
  const taken = read && values.get(read.output);
  maps.show(shown, read && taken ? { shape: read.shape, values: taken } : null);
}

/**
 * @param {string} id
 * @returns {HTMLCanvasElement}
 */
function canvasOf(id) {
  return byId(id);
}

/**
 * @param {string} id of a canvas
 * @returns {CanvasRenderingContext2D}
 */
function contextOf(id) {
  return /** @type {CanvasRenderingContext2D} */ (canvasOf(id).getContext("2d"));
}
