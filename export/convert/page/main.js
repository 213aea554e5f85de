/**
 * Connect the parts of the page: a drawing or picture, the answers of the networks, and their
 * volumes.
 */

import { pixelsOf, showGallery } from "#gallery";
import { Maps } from "#maps";
import { load } from "#network";
import { Pad } from "#pad";
import { facts, unpacked } from "#parts";
import { onPicture, read } from "#picture";
import { prepareEach } from "#preprocessing";
import { proofOf } from "#proof";
import { story, View } from "#view";

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
byId("image-size").textContent = `the network's image: ${height}x${width} pixels${depth}`;
byId("pad").hidden = !canDraw;

let inputs = 0; // drawings and pictures so far

const views = facts.networks.map((each) => new View(each, byId("answer"), open));
const isAlone = views.length === 1;
document.body.classList.toggle("alone", isAlone);
document.body.classList.toggle("many", views.length > 2);
byId("story").textContent = isAlone
  ? story(facts.networks[0])
  : `${views.length} networks side by side`;
byId("answers").append(...views.map(({ answer }) => answer));
byId("blocks").append(...views.map(({ volumes }) => volumes));
const pad = new Pad(byId("paper"), byId("pen"), () => {
  inputs++;
  if (pad.isEmpty) remove();
  else answer(pad.pixels());
});
byId("undo").addEventListener("click", () => pad.undo());
byId("clear").addEventListener("click", () => pad.clear());
onPicture(byId("drop"), byId("file"), async (file) => {
  pad.clear();
  clear("Preparing the picture ...");
  const own = inputs;
  try {
    await painted();
    const pixels = await read(file);
    if (inputs > own) return; // the user has drawn or chosen something else since
    answer(pixels);
  } catch (error) {
    if (inputs === own) clear(/** @type {Error} */ (error).message);
  }
});

/** @type {{view: View, maps: Maps} | null} the feature maps of the open volume */
let opened = null;
/**
 * @typedef {import("#preprocessing").Prepared} Prepared
 * @typedef {{image: Uint8Array, label: number}} TestImage
 * @type {{picture: ImageData, chosen?: TestImage} | null} the picture that waits for its answer
 */
let waiting = null;
let isBusy = false;
let isLoading = true;
let failure = ""; // why this browser cannot run the networks

const loaded = load();
Object.assign(self, { page: loaded.then((networks) => ({ ...proofOf(networks), settled })) });
loaded.then(
  () => {
    isLoading = false;
    if (byId("verdict").textContent === loading) clear(start);
    fillGallery(); // not before: drawing hundreds of images would delay the networks
  },
  ({ message }) => {
    failure = `This browser cannot run the network: ${message}`;
    clear(failure);
  },
);

/**
 * Answer a picture, after the one that is being answered. Of several that wait, the last is taken.
 * @param {ImageData} picture
 * @param {TestImage} [chosen] the test image that it shows
 */
async function answer(picture, chosen) {
  waiting = { picture, chosen };
  if (isBusy) return;
  isBusy = true;
  try {
    const networks = await loaded;
    while (waiting) {
      const { picture, chosen } = waiting;
      waiting = null;
      await show(picture, chosen, networks);
      await painted(); // so that the user sees the answer before the next one
    }
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    clear(failure || `This picture cannot be answered: ${message}`);
  } finally {
    isBusy = false;
  }
}

/** Show the test images, if the page has any. */
async function fillGallery() {
  const { gallery } = facts;
  if (!gallery) return;
  const areas = { errors: byId("errors"), others: byId("others") };
  showGallery({ ...facts, gallery }, await unpacked("pictures"), areas, (image, label) => {
    pad.clear();
    answer(pixelsOf(image, width, channels), { image, label });
  });
  byId("gallery-source").textContent = gallery.source;
  byId("errors-title").hidden = areas.errors.hidden = !gallery.errors;
  byId("pictures-area").hidden = false;
}

/** Wait until no picture waits for its answer. */
async function settled() {
  while (isBusy) await painted();
}

/** Wait until the browser has painted what the page shows now. */
function painted() {
  // A callback of requestAnimationFrame runs before the browser paints, a task after it.
  return new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}

/**
 * Answer a picture, and show all that leads to the answer.
 * @param {ImageData} picture
 * @param {TestImage | undefined} chosen the test image that it shows
 * @param {import("#network").Network[]} networks
 */
async function show(picture, chosen, networks) {
  /** @type {Prepared[]} */
  const found = chosen
    ? [{ image: chosen.image, steps: [], box: [0, 0, width, height], cutOff: 0 }]
    : prepareEach(picture, wanted);
  const count = found.length && found.length + found[0].cutOff;
  if (count !== 1) {
    clear(count ? `${count} separate objects found` : "no ink found");
    showPicture(
      picture,
      found.map(({ box }) => box),
    );
    return;
  }
  const [{ image, steps, box }] = found;
  const own = inputs;
  /** @type {import("#network").Answer[]} */
  const answers = [];
  for (const network of networks) answers.push(await network.classify(image));
  if (inputs > own && !waiting) return; // removed since, or replaced by a message
  const broken = answers.findIndex(({ logits }) => !logits.every(Number.isFinite));
  if (broken >= 0) {
    const { name } = facts.networks[broken];
    clear(`The logits of ${name} are not finite for this picture.`);
    showPicture(picture, [box]);
    return;
  }
  showPicture(picture, [box]);
  showImage(image);
  byId("steps").textContent = steps.join(", ") || "used unchanged";
  const classes = views.map((view, at) => {
    return view.show(answers[at], image, chosen?.label ?? null, answers[0]);
  });
  byId("verdict").textContent = isAlone ? views[0].part(".verdict").textContent : together(classes);
  showMaps();
}

/**
 * Return the classes of several networks in words.
 * @param {string[]} classes
 */
function together(classes) {
  if (classes.every((each) => each === classes[0])) return `All: ${classes[0]}`;
  return classes.map((each, at) => `${facts.networks[at].name}: ${each}`).join(", ");
}

/** Remove the picture, and what waits. */
function remove() {
  waiting = null;
  clear(withoutPicture());
}

/** Return what the user reads before there is a picture. */
function withoutPicture() {
  return failure || (isLoading ? loading : start);
}

/**
 * Show no answer, but some words instead.
 * @param {string} words
 */
function clear(words) {
  for (const view of views) view.clear();
  byId("steps").textContent = "";
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
 * @param {View} view
 * @param {import("#parts").Volume} volume
 */
async function open(view, volume) {
  if (!view.values.size) {
    view.volumes.append(byId("no-maps"));
    byId("no-maps").textContent = `No feature maps yet. ${withoutPicture()}`;
    byId("no-maps").hidden = false;
    return;
  }
  const elements = { canvas: canvasOf("feature-maps"), text: byId("cell") };
  const network = (await loaded)[views.indexOf(view)];
  const isOpen = opened?.maps.volume === volume && opened.view === view;
  opened = isOpen ? null : { view, maps: new Maps(volume, elements, network) };
  showMaps();
}

/** Show the feature maps of the open volume, if there is one. */
function showMaps() {
  const shown = opened?.view.values.get(opened.maps.volume.output);
  byId("no-maps").hidden = true;
  byId("maps").hidden = !shown;
  for (const view of views) {
    view.blocks.mark(shown && opened?.view === view ? opened.maps.volume : null);
  }
  if (!opened || !shown) return;
  const { view, maps } = opened;
  const { name, shape } = maps.volume;
  const network = isAlone ? "" : `${view.description.name}, `;
  byId("maps-title").textContent = `${network}${name}: ${shape.join("x")}`;
  // Moved only if needed: a moved element loses the keyboard's focus.
  if (byId("maps").parentElement !== view.volumes) view.volumes.append(byId("maps"));
  maps.show(shown, view.read(maps.volume));
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
