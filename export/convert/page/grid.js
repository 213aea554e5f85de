/**
 * Filters on grids of numbers, as in scipy.ndimage.
 *
 * @typedef {object} Grid
 * @property {number} width
 * @property {number} height
 * @property {Float32Array} values row by row
 */

/**
 * Return a grid of zeros.
 * @param {number} width
 * @param {number} height
 * @returns {Grid}
 */
export function zeros(width, height) {
  return { width, height, values: new Float32Array(width * height) };
}

/**
 * Return a grid with each value replaced.
 * @param {Grid} grid
 * @param {(value: number, at: number) => number} replace
 * @returns {Grid}
 */
export function map({ width, height, values }, replace) {
  return { width, height, values: values.map(replace) };
}

/**
 * Return the part of a grid from left and top up to, but without, right and bottom.
 * @param {Grid} grid
 * @param {number} left
 * @param {number} top
 * @param {number} right
 * @param {number} bottom
 * @returns {Grid}
 */
export function crop(grid, left, top, right, bottom) {
  const part = zeros(right - left, bottom - top);
  for (let y = top; y < bottom; y++) {
    const row = grid.values.subarray(y * grid.width + left, y * grid.width + right);
    part.values.set(row, (y - top) * part.width);
  }
  return part;
}

/**
 * Return a grid with a margin of zeros on each side.
 * @param {Grid} grid
 * @param {number} margin
 * @returns {Grid}
 */
export function pad(grid, margin) {
  const padded = zeros(grid.width + 2 * margin, grid.height + 2 * margin);
  for (let y = 0; y < grid.height; y++) {
    const row = grid.values.subarray(y * grid.width, (y + 1) * grid.width);
    padded.values.set(row, (y + margin) * padded.width + margin);
  }
  return padded;
}

/**
 * Return the mean of the square of `side` pixels around each pixel; the edges are mirrored.
 * @param {Grid} grid
 * @param {number} side an odd number of pixels
 * @returns {Grid}
 */
export function boxFilter(grid, side) {
  const reach = (side - 1) / 2;
  return byLine(grid, (line, means) => {
    for (let at = 0; at < line.length; at++) {
      let sum = 0;
      for (let near = at - reach; near <= at + reach; near++) sum += mirrored(line, near);
      means[at] = sum / side;
    }
  });
}

/**
 * Return the largest value in the square of `side` pixels around each pixel.
 * @param {Grid} grid
 * @param {number} side an odd number of pixels
 * @returns {Grid}
 */
export function maximumFilter(grid, side) {
  return extremeFilter(grid, side, 1);
}

/**
 * Return the smallest value in the square of `side` pixels around each pixel.
 * @param {Grid} grid
 * @param {number} side an odd number of pixels
 * @returns {Grid}
 */
export function minimumFilter(grid, side) {
  return extremeFilter(grid, side, -1);
}

/**
 * Return the connected components of the pixels that are not zero; neighbors include diagonal ones.
 * @param {Grid} grid
 * @returns {{labels: Int32Array, count: number}} labels from 1 to count, 0 where the grid is zero
 */
export function label({ width, height, values }) {
  const labels = new Int32Array(values.length);
  let count = 0;
  for (let start = 0; start < values.length; start++) {
    if (!values[start] || labels[start]) continue;
    labels[start] = ++count;
    const open = [start];
    while (open.length) {
      const at = /** @type {number} */ (open.pop());
      const [x, y] = [at % width, Math.floor(at / width)];
      for (let nearY = Math.max(0, y - 1); nearY <= Math.min(height - 1, y + 1); nearY++) {
        for (let nearX = Math.max(0, x - 1); nearX <= Math.min(width - 1, x + 1); nearX++) {
          const near = nearY * width + nearX;
          if (values[near] && !labels[near]) {
            labels[near] = count;
            open.push(near);
          }
        }
      }
    }
  }
  return { labels, count };
}

/**
 * Return the distance of each pixel to the nearest zero, in moves of a king on a chessboard.
 * @param {Grid} grid with zeros along its edges
 * @returns {Grid}
 */
export function chessboardDistance({ width, height, values }) {
  const distance = zeros(width, height);
  const last = values.length - width - 2;
  // Of the eight neighbors, four come before a pixel, and four after it.
  for (const [begin, end, step] of [
    [width + 1, last, 1],
    [last, width + 1, -1],
  ]) {
    for (let at = begin; step * at <= step * end; at += step) {
      if (!values[at]) continue;
      const known = distance.values;
      const row = at - step * width;
      const least = Math.min(known[row - 1], known[row], known[row + 1], known[at - step]) + 1;
      known[at] = step > 0 ? least : Math.min(known[at], least);
    }
  }
  return distance;
}

/**
 * Return the largest (sign 1) or smallest (sign -1) value in a square around each pixel.
 *
 * Van Herk's algorithm: a window of `side` values begins in one block of as many values, and ends
 * at the same place in the next. Its time does not grow with the side.
 * @param {Grid} grid
 * @param {number} side
 * @param {1 | -1} sign
 * @returns {Grid}
 */
function extremeFilter(grid, side, sign) {
  const reach = (side - 1) / 2;
  const longest = Math.max(grid.width, grid.height) + 2 * reach;
  // The largest value from the begin of a block, and that to its end.
  const [from, to] = [new Float32Array(longest), new Float32Array(longest)];
  return byLine(grid, (line, extremes) => {
    const length = line.length + 2 * reach;
    from.fill(-Infinity, 0, length);
    for (let at = 0; at < line.length; at++) from[reach + at] = sign * line[at];
    to.set(from.subarray(0, length));
    for (let begin = 0; begin < length; begin += side) {
      const end = Math.min(begin + side, length);
      for (let at = begin + 1; at < end; at++) {
        if (from[at - 1] > from[at]) from[at] = from[at - 1];
      }
      for (let at = end - 2; at >= begin; at--) {
        if (to[at + 1] > to[at]) to[at] = to[at + 1];
      }
    }
    for (let at = 0; at < line.length; at++) {
      extremes[at] = sign * Math.max(to[at], from[at + side - 1]);
    }
  });
}

/**
 * Return a value of a line that continues as its own mirror image.
 * @param {Float32Array} line
 * @param {number} at
 */
function mirrored(line, at) {
  if (at >= 0 && at < line.length) return line[at];
  const period = 2 * line.length;
  const within = ((at % period) + period) % period;
  return line[Math.min(within, period - 1 - within)];
}

/**
 * Filter each column, then each row.
 * @param {Grid} grid
 * @param {(line: Float32Array, filtered: Float32Array) => void} filter
 * @returns {Grid}
 */
function byLine({ width, height, values }, filter) {
  const columns = zeros(width, height);
  const [line, filtered] = [new Float32Array(height), new Float32Array(height)];
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) line[y] = values[y * width + x];
    filter(line, filtered);
    for (let y = 0; y < height; y++) columns.values[y * width + x] = filtered[y];
  }
  const rows = zeros(width, height);
  for (let start = 0; start < values.length; start += width) {
    const end = start + width;
    filter(columns.values.subarray(start, end), rows.values.subarray(start, end));
  }
  return rows;
}
