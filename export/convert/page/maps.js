/**
 * Show the feature maps of one volume, and how the value of one cell is computed.
 *
 * @typedef {import("#parts").Volume} Volume
 * @typedef {import("#cells").Cell} Cell
 * @typedef {{shape: number[], values: ArrayLike<number>}} Values
 */

import { explain } from "#cells";
import { colored, extent } from "#colors";

const WIDTH = 720; // pixels of the gallery, about
const KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Maps {
  /** @type {Cell} */
  cell = { map: 0, y: 0, x: 0 };
  /** @type {OffscreenCanvas[]} the feature maps in colors */
  maps = [];

  /**
   * @param {Volume} volume
   * @param {{canvas: HTMLCanvasElement, text: HTMLElement}} elements
   * @param {import("#network").Network} network
   */
  constructor(volume, { canvas, text }, network) {
    this.volume = volume;
    this.canvas = canvas;
    this.text = text;
    const [height, width, depth] = volume.shape;
    this.height = height;
    this.width = width;
    this.columns = Math.min(depth, Math.ceil(Math.sqrt((depth * height) / width)));
    const rows = Math.ceil(depth / this.columns);
    this.scale = Math.max(1, Math.floor(WIDTH / (this.columns * (width + 1))));
    canvas.width = this.scale * this.columns * (width + 1);
    canvas.height = this.scale * rows * (height + 1);
    canvas.ariaLabel = `Feature maps of ${volume.name}. The arrow keys choose a value.`;
    const { operation } = volume;
    this.weights = operation?.kernel &&
      operation.bias && {
        kernel: network.weights(operation.kernel),
        bias: network.weights(operation.bias),
      };
    canvas.onpointermove = canvas.onpointerdown = (event) => this.point(event);
    canvas.onkeydown = (event) => this.press(event);
  }

  /**
   * Show values.
   * @param {Float32Array} values of this volume
   * @param {Values | null} input what its layer reads
   */
  show(values, input) {
    this.values = values;
    this.input = input;
    const { width, height } = this;
    const depth = this.volume.shape[2];
    const [least, most] = extent(values);
    this.maps = Array.from({ length: depth }, (_, map) => {
      const own = Float32Array.from(
        { length: width * height },
        (_, at) => values[at * depth + map],
      );
      const canvas = new OffscreenCanvas(width, height);
      const pixels = colored(own, width, [Math.min(0, least), most]);
      canvas.getContext("2d")?.putImageData(pixels, 0, 0);
      return canvas;
    });
    this.draw();
  }

  draw() {
    const { width, height, scale } = this;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    context.imageSmoothingEnabled = false;
    this.maps.forEach((canvas, map) => {
      const [x, y] = this.corner(map);
      context.drawImage(canvas, x, y, scale * width, scale * height);
    });
    const [x, y] = this.corner(this.cell.map);
    context.lineWidth = 2;
    for (const [color, margin] of /** @type {const} */ ([
      ["black", 2],
      ["white", 0],
    ])) {
      context.strokeStyle = color;
      const [left, top] = [x + scale * this.cell.x, y + scale * this.cell.y];
      context.strokeRect(left - margin, top - margin, scale + 2 * margin, scale + 2 * margin);
    }
    this.explain();
  }

  /**
   * Return the left and the top of a map in the gallery.
   * @param {number} map
   */
  corner(map) {
    const [column, row] = [map % this.columns, Math.floor(map / this.columns)];
    return [this.scale * column * (this.width + 1), this.scale * row * (this.height + 1)];
  }

  /** @param {MouseEvent} event */
  point(event) {
    const box = this.canvas.getBoundingClientRect();
    const unit = (this.scale * box.width) / this.canvas.width;
    const [across, down] = [event.clientX - box.left, event.clientY - box.top];
    const [column, row] = [
      Math.floor(across / unit / (this.width + 1)),
      Math.floor(down / unit / (this.height + 1)),
    ];
    const x = Math.floor(across / unit) - column * (this.width + 1);
    const y = Math.floor(down / unit) - row * (this.height + 1);
    const map = row * this.columns + column;
    const isInside = x >= 0 && x < this.width && y >= 0 && y < this.height;
    if (isInside && column < this.columns && map < this.volume.shape[2]) this.choose({ map, y, x });
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const move = KEYS[/** @type {keyof typeof KEYS} */ (event.key)];
    if (!move) return;
    event.preventDefault();
    const { map } = this.cell;
    const column = (map % this.columns) * this.width + this.cell.x + move[0];
    const row = Math.floor(map / this.columns) * this.height + this.cell.y + move[1];
    if (column < 0 || row < 0 || column >= this.columns * this.width) return;
    const next = Math.floor(row / this.height) * this.columns + Math.floor(column / this.width);
    if (next >= this.volume.shape[2]) return;
    this.choose({ map: next, y: row % this.height, x: column % this.width });
  }

  /** @param {Cell} cell */
  choose(cell) {
    const { map, y, x } = this.cell;
    if (cell.map === map && cell.y === y && cell.x === x) return;
    this.cell = cell;
    this.draw();
  }

  /** Show how the chosen cell is computed. */
  explain() {
    const { map, y, x } = this.cell;
    const [, width, depth] = this.volume.shape;
    const value = /** @type {Float32Array} */ (this.values)[(y * width + x) * depth + map];
    const { operation } = this.volume;
    const place = `Map ${map + 1} of ${depth}, row ${y + 1}, column ${x + 1}`;
    this.text.replaceChildren(written("p", `${place}: ${short(value)}`));
    if (!operation || !this.input) return;
    const found = explain(operation, this.input, this.weights || null, this.cell);
    this.text.append(...described(operation, this.input, found));
  }
}

/**
 * Return the computation of a cell as elements.
 * @param {import("#parts").Operation} operation
 * @param {Values} input
 * @param {import("#cells").Explained} found
 * @returns {HTMLElement[]}
 */
function described(operation, input, found) {
  const size = operation.window.join("x");
  const [down, right] = operation.stride;
  const stride = `stride ${down === right ? down : `${down}x${right}`}`;
  const sum = document.createElement("div");
  sum.className = "sum";
  if (!found.kernel || !found.products) {
    const isMax = operation.kind === "max";
    const inside = found.patch.flat().filter((value) => !Number.isNaN(value)).length;
    const which = `${isMax ? "largest" : "mean"} of ${inside} values of the same map`;
    const words = `The ${which} in a window of ${size}, ${stride}:`;
    sum.append(
      patch("values", found.patch, "", isMax ? found.result : null),
      written("span", "→"),
      written("strong", short(found.result)),
    );
    return [written("p", words), sum];
  }
  const depth = operation.kind === "depthwise" ? 1 : input.shape[2];
  const channel = depth > 1 ? ` in map ${found.channel + 1}, which contributes most` : "";
  const words = `A window of ${size} values${channel}, ${stride}, times the kernel of this filter:`;
  sum.append(
    patch("values", found.patch, "0"),
    written("span", "×"),
    patch("kernel", found.kernel, ""),
    written("span", "="),
    patch("products", found.products, ""),
  );
  const of = depth > 1 ? `${short(found.part)} in this map, over all ${depth} maps ` : "";
  const relu = operation.relu ? `, after ReLU ${short(found.result)}` : "";
  const total = found.sum + found.bias;
  const end = `Their sum: ${of}${short(found.sum)}. With the bias ${short(found.bias)}: ${short(total)}${relu}.`;
  return [written("p", words), sum, written("p", end)];
}

/**
 * Return values as a table.
 * @param {string} caption
 * @param {number[][]} rows NaN outside of the volume
 * @param {string} outside text of the places outside of the volume
 * @param {number | null} chosen the value to mark, once
 */
function patch(caption, rows, outside, chosen = null) {
  const figure = document.createElement("div");
  figure.className = "patch";
  const table = document.createElement("table");
  table.createCaption().textContent = caption;
  let isMarked = chosen === null;
  for (const values of rows) {
    const row = table.insertRow();
    for (const value of values) {
      const cell = row.insertCell();
      const isOutside = Number.isNaN(value);
      cell.textContent = isOutside ? outside : short(value);
      if (isOutside) cell.className = "outside";
      if (!isMarked && value === chosen) {
        cell.className = "chosen";
        isMarked = true;
      }
    }
  }
  figure.append(table);
  return figure;
}

/**
 * Return an element with a text.
 * @param {"p" | "span" | "strong"} name
 * @param {string} text
 */
function written(name, text) {
  const element = document.createElement(name);
  element.textContent = text;
  return element;
}

/**
 * Return a number with about three digits.
 * @param {number} value
 */
function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 100
    ? value.toFixed(0)
    : size >= 0.01
      ? value.toPrecision(3)
      : value.toExponential(1);
}
