/**
 * Convert the pixels of a picture to the input of the network.
 *
 * The steps and their order are those of zoo/data/preprocessing.py, and so are the words, but for
 * what only a picture file tells: how it stores its pixels.
 *
 * @typedef {import("#grid").Grid} Grid
 * @typedef {import("#ink").Box} Box
 *
 * @typedef {object} Preprocessing what the network was trained with
 * @property {number} height
 * @property {number} width
 * @property {number} channels 1 for grey, 3 for color
 * @property {"pad" | "crop" | "stretch"} fit
 * @property {"white" | "black"} background behind transparent pixels
 * @property {"keep" | "light-on-dark" | "dark-on-light"} polarity
 * @property {boolean} ink
 *
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {ArrayLike<number>} data red, green, blue and opacity of each pixel, row by row
 *
 * @typedef {object} Prepared
 * @property {Uint8Array} image the network's input: row by row, the channels of a pixel together
 * @property {string[]} steps what was done with the picture
 * @property {Box} box the part of the picture that was used
 * @property {number} cutOff number of objects that were left out at the edge of the picture
 */

import { crop, zeros } from "#grid";
import { find, roundHalfEven } from "#ink";

/**
 * Return each object in a picture as an input of the network, left to right.
 *
 * Without `wanted.ink`, or if the picture has the network's size, the only object is the whole
 * picture. The steps report objects that are left out.
 * @param {Picture} picture
 * @param {Preprocessing} wanted
 * @returns {Prepared[]}
 */
export function prepareEach(picture, wanted) {
  const [planes, steps] = inChannels(picture, wanted);
  if (!wanted.ink || (picture.width === wanted.width && picture.height === wanted.height)) {
    return [whole(planes, steps, wanted)];
  }
  const { things, cutOff, small } = find(planes[0], wanted);
  const leftOut = [
    ...(cutOff ? [`${counted(cutOff, "object")} at the edge left out`] : []),
    ...(small ? [`${counted(small, "small mark")} ignored`] : []),
  ];
  return things.map(({ image, box }) => {
    const size = `${box[2] - box[0]}x${box[3] - box[1]}`;
    const done = `ink of ${size} pixels found, scaled and centred as in MNIST`;
    return {
      image: wanted.polarity === "light-on-dark" ? image : image.map((value) => 255 - value),
      steps: [...steps, "background removed", done, ...leftOut],
      box,
      cutOff,
    };
  });
}

/**
 * @param {number} count
 * @param {string} noun
 */
function counted(count, noun) {
  return count === 1 ? `${count} ${noun}` : `${count} ${noun}s`;
}

/**
 * Return the network's channels as one grid each, and the steps applied.
 * @param {Picture} picture
 * @param {Preprocessing} wanted
 * @returns {[Grid[], string[]]}
 */
function inChannels({ width, height, data }, wanted) {
  const paper = wanted.background === "white" ? 255 : 0;
  const planes = Array.from({ length: wanted.channels }, () => zeros(width, height));
  const [first, second, third] = planes.map(({ values }) => values);
  let [isOpaque, isGrey] = [true, true];
  for (let at = 0; at < width * height; at++) {
    const opacity = data[4 * at + 3];
    const rest = paper * (255 - opacity) + 127.5;
    const red = Math.floor((data[4 * at] * opacity + rest) / 255);
    const green = Math.floor((data[4 * at + 1] * opacity + rest) / 255);
    const blue = Math.floor((data[4 * at + 2] * opacity + rest) / 255);
    isOpaque &&= opacity === 255;
    isGrey &&= red === green && green === blue;
    if (wanted.channels === 1) {
      first[at] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
    } else {
      [first[at], second[at], third[at]] = [red, green, blue];
    }
  }
  const steps = isOpaque ? [] : [`transparency filled with ${wanted.background}`];
  return [planes, isGrey || wanted.channels === 3 ? steps : [...steps, "converted to grey"]];
}

/**
 * Return the whole picture as an input of the network.
 * @param {Grid[]} planes
 * @param {string[]} steps
 * @param {Preprocessing} wanted
 * @returns {Prepared}
 */
function whole(planes, steps, wanted) {
  const done = [...steps];
  if (wanted.polarity !== "keep") {
    const isLight = edgeColor(planes[0]) > 127;
    if (isLight !== (wanted.polarity === "dark-on-light")) {
      planes = planes.map((plane) => ({ ...plane, values: plane.values.map((v) => 255 - v) }));
      done.push("inverted");
    }
  }
  const { width, height } = planes[0];
  const { box, inner, left, top } = geometry(width, height, wanted);
  if (width !== wanted.width || height !== wanted.height) {
    const isSimilar = height * wanted.width === width * wanted.height;
    const words = { pad: "padded and ", crop: "cropped and ", stretch: "stretched and " };
    const sizes = `${height}x${width} to ${wanted.height}x${wanted.width}`;
    done.push(`${isSimilar ? "" : words[wanted.fit]}resized from ${sizes}`);
  }
  const image = new Uint8Array(wanted.width * wanted.height * planes.length);
  planes.forEach((plane, channel) => {
    const small = resized(crop(plane, ...box), inner.width, inner.height);
    const fill = edgeColor(plane);
    for (let y = 0; y < wanted.height; y++) {
      for (let x = 0; x < wanted.width; x++) {
        const [innerX, innerY] = [x - left, y - top];
        const isInside =
          innerX >= 0 && innerX < inner.width && innerY >= 0 && innerY < inner.height;
        image[(y * wanted.width + x) * planes.length + channel] = isInside
          ? small.values[innerY * inner.width + innerX]
          : fill;
      }
    }
  });
  return { image, steps: done, box, cutOff: 0 };
}

/**
 * Return which part of a picture is used, its new size, and its position in the image.
 * @param {number} width
 * @param {number} height
 * @param {Preprocessing} wanted
 * @returns {{box: Box, inner: {width: number, height: number}, left: number, top: number}}
 */
function geometry(width, height, wanted) {
  const target = { width: wanted.width, height: wanted.height };
  const isWide = width * wanted.height >= height * wanted.width;
  /** @type {Box} */
  const all = [0, 0, width, height];
  if (wanted.fit === "pad") {
    const inner = isWide
      ? { width: wanted.width, height: atLeastOne((height * wanted.width) / width) }
      : { width: atLeastOne((width * wanted.height) / height), height: wanted.height };
    const left = Math.floor((wanted.width - inner.width) / 2);
    const top = Math.floor((wanted.height - inner.height) / 2);
    return { box: all, inner, left, top };
  }
  if (wanted.fit === "stretch") return { box: all, inner: target, left: 0, top: 0 };
  const keptWidth = isWide ? atLeastOne((height * wanted.width) / wanted.height) : width;
  const keptHeight = isWide ? height : atLeastOne((width * wanted.height) / wanted.width);
  const left = Math.floor((width - keptWidth) / 2);
  const top = Math.floor((height - keptHeight) / 2);
  return { box: [left, top, left + keptWidth, top + keptHeight], inner: target, left: 0, top: 0 };
}

/**
 * Return a length rounded to whole pixels, halves up.
 * @param {number} length
 */
function atLeastOne(length) {
  return Math.max(1, Math.floor(length + 0.5));
}

/**
 * Return the lower median of the edge pixels.
 * @param {Grid} plane
 */
function edgeColor({ width, height, values }) {
  const edges = [];
  for (let x = 0; x < width; x++) edges.push(values[x], values[(height - 1) * width + x]);
  for (let y = 0; y < height; y++) edges.push(values[y * width], values[(y + 1) * width - 1]);
  edges.sort((one, other) => one - other);
  return edges[Math.floor((edges.length - 1) / 2)];
}

/**
 * Resize a plane with a triangle filter that averages when shrinking.
 * @param {Grid} plane
 * @param {number} width
 * @param {number} height
 * @returns {Grid} whole numbers
 */
function resized(plane, width, height) {
  if (plane.width === width && plane.height === height) return plane;
  const columns = triangles(plane.width, width);
  const wide = zeros(width, plane.height);
  for (let y = 0; y < plane.height; y++) {
    columns.forEach(([first, weights], x) => {
      let sum = 0;
      weights.forEach((weight, at) => (sum += weight * plane.values[y * plane.width + first + at]));
      wide.values[y * width + x] = sum;
    });
  }
  const small = zeros(width, height);
  triangles(plane.height, height).forEach(([first, weights], y) => {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      weights.forEach((weight, at) => (sum += weight * wide.values[(first + at) * width + x]));
      small.values[y * width + x] = roundHalfEven(Math.fround(sum));
    }
  });
  return small;
}

/**
 * Return the weights of a triangle filter along one axis.
 * @param {number} length pixels of the picture
 * @param {number} target pixels of the image
 * @returns {[number, number[]][]} for each pixel of the image, the first pixel and the weights
 */
function triangles(length, target) {
  const scale = length / target;
  const reach = Math.max(scale, 1);
  return Array.from({ length: target }, (_, at) => {
    const center = (at + 0.5) * scale;
    const first = Math.max(0, Math.floor(center - reach + 0.5));
    const end = Math.min(length, Math.floor(center + reach + 0.5));
    const weights = Array.from({ length: end - first }, (_, near) => {
      return Math.max(0, 1 - Math.abs(first + near - center + 0.5) / reach);
    });
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return [first, weights.map((weight) => weight / total)];
  });
}
