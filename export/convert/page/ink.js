/**
 * Find handwritten characters in a picture, and normalize them like those of MNIST.
 *
 * The steps, their order and their constants are those of zoo/data/ink.py, which explains them.
 *
 * @typedef {import("#grid").Grid} Grid
 * @typedef {[number, number, number, number]} Box left, top, right, bottom in pixels
 * @typedef {{image: Uint8Array, box: Box}} Ink the image row by row, light ink on black
 * @typedef {{things: Ink[], cutOff: number, small: number}} Found things, and how many are left out
 * @typedef {{labels: number[], box: Box}} Thing pieces of ink that belong together
 */

import {
  boxFilter,
  chessboardDistance,
  crop,
  label,
  map,
  maximumFilter,
  minimumFilter,
  pad,
  zeros,
} from "#grid";

const WORKING_SIDE = 800;
const SMOOTHING = 1 / 200;
const WINDOW = 1 / 3;
const GAP = 1 / 80;
const SPECK = 1 / 50;
const DARK_LEVEL = 64;
const LEAST_STRENGTH = 0.25;
const THRESHOLD = 0.5;
const NEAR = 0.15;
const FRAGMENT = 0.6;
const IGNORED = 0.3;
const BOX = 20 / 28;
const STROKE = 1.9;

/**
 * Return the separate things in a picture, left to right, and how many are left out.
 * @param {Grid} grey whole numbers from 0 to 255
 * @param {{width: number, height: number}} size of the returned images
 * @returns {Found}
 */
export function find(grey, size) {
  const factor = Math.ceil(Math.max(grey.width, grey.height) / WORKING_SIDE);
  const picture = reduced(grey, factor);
  const side = Math.max(picture.width, picture.height);
  const strength = inkStrength(boxFilter(picture, odd(SMOOTHING * side)), odd(WINDOW * side));
  const threshold = Math.max(LEAST_STRENGTH, THRESHOLD * strength.values.reduce(larger));
  const mask = map(strength, (value) => Number(value > threshold));
  const { labels, count } = label(maximumFilter(mask, odd(GAP * side)));
  const labelled = map(mask, (value, at) => value * labels[at]);
  const coverage = map(strength, (value) => clip(Math.fround(value / threshold) - 0.5, 0, 1));

  const { kept, cutOff, small } = separate(labelled, count, SPECK * side);
  const things = kept.map((thing) => {
    const [left, top, right, bottom] = thing.box;
    const around = /** @type {const} */ ([
      Math.max(0, left - 2),
      Math.max(0, top - 2),
      Math.min(picture.width, right + 2),
      Math.min(picture.height, bottom + 2),
    ]);
    const own = map(crop(labelled, ...around), (each) => Number(thing.labels.includes(each)));
    const near = maximumFilter(own, 5);
    const covered = map(crop(coverage, ...around), (value, at) => value * near.values[at]);
    const edges = [
      left,
      top,
      Math.min(right, grey.width / factor),
      Math.min(bottom, grey.height / factor),
    ];
    return {
      image: normalized(covered, longerSide(thing), size),
      box: /** @type {Box} */ (edges.map((edge) => roundHalfEven(edge * factor))),
    };
  });
  return { things, cutOff, small };
}

/**
 * Return a number rounded to an integer, with halves rounded to the even one, as NumPy does.
 * @param {number} value
 */
export function roundHalfEven(value) {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/**
 * Return the means of squares of `factor` pixels, rounded; those at the edges may be smaller.
 * @param {Grid} grid
 * @param {number} factor
 * @returns {Grid}
 */
function reduced(grid, factor) {
  if (factor === 1) return grid;
  const small = zeros(Math.ceil(grid.width / factor), Math.ceil(grid.height / factor));
  const counts = new Float32Array(small.values.length);
  for (let y = 0; y < grid.height; y++) {
    for (let x = 0; x < grid.width; x++) {
      const at = Math.floor(y / factor) * small.width + Math.floor(x / factor);
      small.values[at] += grid.values[y * grid.width + x];
      counts[at]++;
    }
  }
  // In whole numbers, as Pillow divides.
  return map(small, (sum, at) => {
    const factor = Math.floor(Math.fround(2 ** 24 / counts[at]));
    return Math.floor(((sum + Math.floor(counts[at] / 2)) * factor) / 2 ** 24);
  });
}

/** @param {number} length */
function odd(length) {
  return 2 * Math.floor(length / 2) + 1;
}

/**
 * @param {number} one
 * @param {number} other
 */
function larger(one, other) {
  return Math.max(one, other);
}

/**
 * @param {number} value
 * @param {number} least
 * @param {number} most
 */
function clip(value, least, most) {
  return Math.min(most, Math.max(least, value));
}

/**
 * Return the amount of ink on each pixel, 0 (none) to 1.
 * @param {Grid} picture
 * @param {number} window odd side in pixels of a square that is wider than any stroke
 * @returns {Grid}
 */
function inkStrength(picture, window) {
  const isLight = isBackgroundLight(picture, window);
  const dark = isLight ? picture : map(picture, (value) => 255 - value);
  const margin = (window - 1) / 2;
  const closed = minimumFilter(maximumFilter(pad(dark, margin), window), window);
  const { width, height } = dark;
  const background = crop(closed, margin, margin, margin + width, margin + height);
  // In float32 as in Python, since a pixel can be as dark as the threshold exactly.
  return map(background, (value, at) => {
    const ink = Math.fround(value - dark.values[at]);
    return ink / Math.fround((isLight ? value : 255) + DARK_LEVEL);
  });
}

/**
 * Return whether most pixels near ink are closer to the lightest than to the darkest there.
 * @param {Grid} picture
 * @param {number} window
 */
function isBackgroundLight(picture, window) {
  const level = map(picture, (value) => Math.log(value + DARK_LEVEL));
  const lightest = maximumFilter(level, window).values;
  const darkest = minimumFilter(level, window).values;
  const sum = level.values.reduce((sum, own, at) => sum + 2 * own - lightest[at] - darkest[at], 0);
  return sum >= 0;
}

/**
 * Return the things that labelled pieces of ink form, left to right, and how many are left out.
 * @param {Grid} labels 0 where there is no ink
 * @param {number} count the largest label
 * @param {number} speck longer side in pixels of the smallest piece of ink
 * @returns {{kept: Thing[], cutOff: number, small: number}}
 */
function separate(labels, count, speck) {
  const pieces = boxes(labels, count).map((box, at) => ({ labels: [at + 1], box }));
  pieces.sort((one, other) => longerSide(other) - longerSide(one));
  /** @type {Thing[]} */
  const found = [];
  for (const piece of pieces) {
    if (longerSide(piece) < speck) break;
    const whole = found.find((thing) => belongs(piece, thing));
    if (whole) {
      whole.labels.push(...piece.labels);
      whole.box = union(piece.box, whole.box);
    } else {
      found.push(piece);
    }
  }
  const inside = found.filter(({ box: [left, top, right, bottom] }) => {
    return Math.min(left, top) > 0 && right < labels.width && bottom < labels.height;
  });
  const candidates = inside.length ? inside : found;
  const least = IGNORED * candidates.map(longerSide).reduce(larger, 0);
  const kept = candidates.filter((thing) => longerSide(thing) >= least).sort(fromTheLeft);
  const small = found.filter((thing) => longerSide(thing) < least).length;
  return { kept, cutOff: found.length - small - kept.length, small };
}

/**
 * Return the bounding box of each label.
 * @param {Grid} labels
 * @param {number} count
 * @returns {Box[]}
 */
function boxes({ width, values }, count) {
  /** @type {Box[]} */
  const found = Array.from({ length: count }, () => [Infinity, Infinity, 0, 0]);
  values.forEach((each, at) => {
    if (!each) return;
    const [x, y] = [at % width, Math.floor(at / width)];
    found[each - 1] = union(found[each - 1], [x, y, x + 1, y + 1]);
  });
  return found;
}

/** @param {Thing} thing */
function longerSide({ box: [left, top, right, bottom] }) {
  return Math.max(right - left, bottom - top);
}

/**
 * Order two things by the left, top, right and bottom of their boxes.
 * @param {Thing} one
 * @param {Thing} other
 */
function fromTheLeft(one, other) {
  const at = one.box.findIndex((edge, at) => edge !== other.box[at]);
  return at < 0 ? 0 : one.box[at] - other.box[at];
}

/**
 * Return whether a piece is part of a larger thing: above or below it, or a nearby fragment.
 * @param {Thing} piece
 * @param {Thing} thing
 */
function belongs({ box: [left, top, right, bottom] }, thing) {
  const [thingLeft, thingTop, thingRight, thingBottom] = thing.box;
  const gapX = Math.max(left, thingLeft) - Math.min(right, thingRight);
  const gapY = Math.max(top, thingTop) - Math.min(bottom, thingBottom);
  if (Math.max(gapX, gapY) > NEAR * longerSide(thing)) return false;
  const inColumn = -gapX >= Math.min(right - left, thingRight - thingLeft) / 2;
  return inColumn || bottom - top <= FRAGMENT * (thingBottom - thingTop);
}

/**
 * @param {Box} one
 * @param {Box} other
 * @returns {Box}
 */
function union(one, other) {
  return [
    Math.min(one[0], other[0]),
    Math.min(one[1], other[1]),
    Math.max(one[2], other[2]),
    Math.max(one[3], other[3]),
  ];
}

/**
 * Return one thing as an MNIST-like image.
 * @param {Grid} covered the share of each pixel that ink covers, 0 to 1
 * @param {number} side longer side of the thing in pixels
 * @param {{width: number, height: number}} size of the image
 * @returns {Uint8Array}
 */
function normalized(covered, side, size) {
  const box = roundHalfEven(BOX * Math.min(size.width, size.height));
  const solid = pad(
    map(covered, (value) => Number(value > 0.5)),
    1,
  );
  const distances = chessboardDistance(solid).values.filter((value) => value > 0);
  const stroke = (4 * distances.reduce((sum, value) => sum + value, 0)) / distances.length - 2;
  const grow = Math.max(0, roundHalfEven(((STROKE * side) / box - stroke) / 2));
  const coverage = maximumFilter(pad(covered, grow), 2 * grow + 1);
  const step = (side + 2 * grow) / box;
  const rows = areaWeights(sums(coverage, "height"), size.height, step);
  const columns = areaWeights(sums(coverage, "width"), size.width, step);

  const image = new Float64Array(size.width * size.height);
  columns.forEach((columnWeights, column) => {
    for (let y = 0; y < coverage.height; y++) {
      let sum = 0;
      for (const [x, weight] of columnWeights) {
        sum += weight * coverage.values[y * coverage.width + x];
      }
      rows.forEach((rowWeights, row) => {
        image[row * size.width + column] += (rowWeights.get(y) ?? 0) * sum;
      });
    }
  });
  const largest = image.reduce(larger);
  return Uint8Array.from(image, (value) => roundHalfEven((255 * value) / largest));
}

/**
 * Return the sum of each row or column.
 * @param {Grid} grid
 * @param {"width" | "height"} along the axis of the sums
 * @returns {Float64Array}
 */
function sums(grid, along) {
  const total = new Float64Array(grid[along]);
  grid.values.forEach((value, at) => {
    total[along === "width" ? at % grid.width : Math.floor(at / grid.width)] += value;
  });
  return total;
}

/**
 * Return weights that resample one axis by area, with the center of mass in the middle.
 * @param {Float64Array} mass the ink in each pixel along the axis
 * @param {number} length number of pixels of the image
 * @param {number} step picture pixels per image pixel
 * @returns {Map<number, number>[]} for each pixel of the image, pixels of the picture with weights
 */
function areaWeights(mass, length, step) {
  const total = mass.reduce((sum, value) => sum + value, 0);
  const center = mass.reduce((sum, value, at) => sum + value * (at + 0.5), 0) / total;
  return Array.from({ length }, (_, at) => {
    const [begin, end] = [0, 1].map((edge) => center + step * (at + edge - length / 2));
    /** @type {Map<number, number>} */
    const weights = new Map();
    const last = Math.min(mass.length, Math.ceil(end));
    for (let pixel = Math.max(0, Math.floor(begin)); pixel < last; pixel++) {
      weights.set(pixel, (Math.min(end, pixel + 1) - Math.max(begin, pixel)) / step);
    }
    return weights;
  });
}
