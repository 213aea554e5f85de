/**
 * Colors for numbers: dark blue for small values, yellow for large ones, in steps that people with
 * any color vision can tell apart.
 */

/** @type {[number, number, number][]} */
const STEPS = [
  [0, 32, 76],
  [62, 77, 108],
  [124, 123, 120],
  [188, 175, 111],
  [255, 234, 70],
];

/**
 * Return red, green and blue for a share.
 * @param {number} share 0 to 1
 * @returns {[number, number, number]}
 */
function color(share) {
  const at = Math.min(Math.max(share, 0), 1) * (STEPS.length - 1);
  const below = Math.min(Math.floor(at), STEPS.length - 2);
  const [one, other] = [STEPS[below], STEPS[below + 1]];
  const mix = (/** @type {0 | 1 | 2} */ channel) => {
    return Math.round(one[channel] + (at - below) * (other[channel] - one[channel]));
  };
  return [mix(0), mix(1), mix(2)];
}

/**
 * Return the smallest and the largest number.
 * @param {Float32Array} values
 * @returns {[number, number]}
 */
export function extent(values) {
  return [values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))];
}

/**
 * Return an image of numbers.
 * @param {ArrayLike<number>} values row by row
 * @param {number} width
 * @param {[number, number]} extent the numbers of the first and the last color
 * @returns {ImageData}
 */
export function colored(values, width, [least, most]) {
  const image = new ImageData(width, values.length / width);
  for (let at = 0; at < values.length; at++) {
    image.data.set([...color((values[at] - least) / (most - least || 1)), 255], 4 * at);
  }
  return image;
}
