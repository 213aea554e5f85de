/**
 * Draw the volumes of the network to scale, as zoo/draw.py and the post do.
 *
 * All blocks share one scale for height and width and another for depth. A vector is an upright
 * bar, longer for more values but not to scale.
 *
 * @typedef {import("#parts").Volume} Volume
 */

import { colored, extent } from "#colors";

const [TALLEST, DEEPEST, LINE, GAP, MARGIN, LETTER] = [150, 110, 16, 30, 12, 6.6];
const SLANT = [0.42, 0.26]; // offset to the right and up for each unit of width
const BAR = 12;
const LEAST_DEPTH = 32;
const SVG = "http://www.w3.org/2000/svg";

export class Blocks {
  /**
   * @param {HTMLElement} area
   * @param {Volume[]} blocks
   * @param {(volume: Volume) => void} open called with the volume that the user opens
   */
  constructor(area, blocks, open) {
    const scale = TALLEST / Math.max(...blocks.flatMap(({ shape }) => shape.slice(0, 2)));
    const deepest = Math.max(
      LEAST_DEPTH,
      ...blocks.filter((each) => !isVector(each)).map(({ shape }) => shape[2]),
    );
    const boxes = blocks.map((block) => layOut(block, scale, DEEPEST / deepest));
    const base = MARGIN + Math.max(...boxes.map(({ tall, up }) => tall + up));
    const rows = Math.max(...blocks.map(({ lines }) => lines.length)) + 2;
    const svg = element("svg", { role: "group", "aria-label": "the volumes of the network" });
    let x = MARGIN;
    this.drawn = boxes.map((box) => {
      const column = Math.max(box.width, LETTER * Math.max(...box.text.map((line) => line.length)));
      const drawn = draw(box, x, column, base);
      x += column + GAP;
      drawn.group.addEventListener("click", () => open(box.block));
      drawn.group.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        open(box.block);
      });
      svg.append(drawn.group);
      return drawn;
    });
    const [width, height] = [x - GAP + MARGIN, base + rows * LINE + MARGIN];
    set(svg, { viewBox: `0 0 ${width} ${height}`, width, height });
    area.append(svg);
  }

  /**
   * Show the mean of the maps of each volume on the side of its block.
   * @param {Map<string, Float32Array>} values of the volumes, by output
   */
  show(values) {
    for (const { block, picture } of this.drawn) {
      const own = /** @type {Float32Array} */ (values.get(block.output));
      const [, width, depth] = block.shape;
      const shown = isVector(block) ? own : means(own, depth);
      const canvas = document.createElement("canvas");
      canvas.width = width;
      canvas.height = shown.length / width;
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      context.putImageData(colored(shown, width, extent(shown)), 0, 0);
      set(picture, { href: canvas.toDataURL(), visibility: "visible" });
    }
  }

  /** Show no values. */
  clear() {
    for (const { picture } of this.drawn) set(picture, { visibility: "hidden" });
  }

  /**
   * Mark the block that is open.
   * @param {Volume | null} volume
   */
  mark(volume) {
    for (const { block, group } of this.drawn) set(group, { "aria-expanded": block === volume });
  }
}

/**
 * Return the mean over the channels of each pixel.
 * @param {Float32Array} values
 * @param {number} depth
 */
function means(values, depth) {
  const mean = new Float32Array(values.length / depth);
  values.forEach((value, at) => (mean[Math.floor(at / depth)] += value / depth));
  return mean;
}

/** @param {Volume} block */
function isVector({ shape: [height, width] }) {
  return height * width === 1;
}

/**
 * Return the lengths of a block, and its text.
 * @param {Volume} block
 * @param {number} scale
 * @param {number} depthScale
 */
function layOut(block, scale, depthScale) {
  const [height, width, depth] = block.shape;
  const isFlat = isVector(block);
  const tall = isFlat ? TALLEST * Math.min(1, 0.25 + depth / 1000) : height * scale;
  const deep = isFlat ? BAR : Math.max(depth * depthScale, 1.5);
  const [right, up] = isFlat ? [0, 0] : SLANT.map((share) => share * width * scale);
  const shape = isFlat ? `${depth}` : block.shape.join("x");
  const text = [block.name, shape, ...block.lines];
  return { block, tall, deep, right, up, width: deep + right, text, isFlat };
}

/**
 * Draw a block and its text.
 * @param {ReturnType<typeof layOut>} box
 * @param {number} left of the column that both share
 * @param {number} column its width
 * @param {number} base lower edge of the block
 */
function draw({ block, tall, deep, right, up, width: own, text, isFlat }, left, column, base) {
  const [x, middle] = [left + (column - own) / 2, left + column / 2];
  const group = element("g", {
    role: "button",
    tabindex: 0,
    "aria-expanded": false,
    "aria-label": text.join(" "),
  });
  const [far, top] = [x + deep, base - tall];
  const [height, width, depth] = block.shape;
  const [columns, rows] = isFlat ? [1, depth] : [width, height];
  const across = isFlat ? [deep, 0] : [right, -up];
  const matrix = [across[0] / columns, across[1] / columns, 0, tall / rows, isFlat ? x : far, top];
  const picture = element("image", {
    width: columns,
    height: rows,
    transform: `matrix(${matrix.join(" ")})`,
    preserveAspectRatio: "none",
    visibility: "hidden",
  });
  picture.style.imageRendering = "pixelated";
  const front = [x, base, far, base, far, top, x, top];
  const side = [far, base, far + right, base - up, far + right, top - up, far, top];
  const roof = [x, top, far, top, far + right, top - up, x + right, top - up];
  group.append(
    polygon(front, block.kind, 1),
    polygon(side, block.kind, 0.75),
    polygon(roof, block.kind, 0.5),
    picture,
    polygon(isFlat ? front : side, "", 0),
    // So that all of the column can be clicked, also the space between its parts.
    element("rect", {
      x: left,
      y: MARGIN / 2,
      width: column,
      height: base + (text.length + 1) * LINE - MARGIN,
      "fill-opacity": 0,
    }),
  );
  text.forEach((line, row) => {
    const words = element("text", { x: middle, y: base + (row + 1) * LINE });
    words.textContent = line;
    if (row === 0) set(words, { class: "name" });
    group.append(words);
  });
  return { block, group, picture };
}

/**
 * @param {number[]} corners x and y of each corner
 * @param {string} kind
 * @param {number} opacity
 */
function polygon(corners, kind, opacity) {
  return element("polygon", { points: corners.join(" "), class: kind, "fill-opacity": opacity });
}

/**
 * @param {string} name
 * @param {Record<string, string | number | boolean>} attributes
 * @returns {SVGElement}
 */
function element(name, attributes) {
  return set(document.createElementNS(SVG, name), attributes);
}

/**
 * @template {Element} E
 * @param {E} target
 * @param {Record<string, string | number | boolean>} attributes
 */
function set(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) target.setAttribute(name, String(value));
  return target;
}
