/**
 * A sheet of paper to draw on with a mouse, a pen, a finger or the keyboard.
 *
 * @typedef {{width: number, points: [number, number][]}} Stroke
 */

const SIDE = 280; // pixels of the picture; the canvas shows it with finer edges
const STEP = 8; // pixels that an arrow key moves the pen

export class Pad {
  /** @type {Stroke[]} */
  strokes = [];
  /** @type {Stroke | null} */
  open = null;
  /** @type {number | null} the pointer that draws, so that a second one does not */
  pointer = null;
  /** @type {[number, number] | null} where the keyboard's pen is */
  cursor = null;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {HTMLInputElement} pen its value is the width of a stroke
   * @param {() => void} changed called after each change of the drawing
   */
  constructor(canvas, pen, changed) {
    this.canvas = canvas;
    this.pen = pen;
    this.changed = changed;
    /** @param {PointerEvent} event */
    const isOther = ({ pointerId }) => this.pointer !== null && this.pointer !== pointerId;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button || isOther(event)) return;
      canvas.setPointerCapture(event.pointerId);
      this.pointer = event.pointerId;
      this.cursor = null;
      this.begin(this.position(event));
    });
    canvas.addEventListener("pointermove", (event) => {
      if (this.cursor || isOther(event)) return;
      const all = event.getCoalescedEvents?.() ?? [];
      this.extend((all.length ? all : [event]).map((each) => this.position(each)));
    });
    for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
      canvas.addEventListener(name, (event) => {
        if (event.pointerId !== this.pointer) return;
        this.pointer = null;
        if (!this.cursor) this.open = null;
      });
    }
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("blur", () => {
      this.cursor = this.open = null;
      this.draw();
    });
    this.draw();
  }

  /** Whether nothing is drawn. */
  get isEmpty() {
    return !this.strokes.length;
  }

  /** Remove the last stroke. */
  undo() {
    this.open = null;
    this.strokes.pop();
    this.update();
  }

  /** Remove all strokes. */
  clear() {
    this.open = null;
    this.strokes = [];
    this.update();
  }

  /** Return the pixels of the drawing. */
  pixels() {
    const context = new OffscreenCanvas(SIDE, SIDE).getContext("2d", { willReadFrequently: true });
    this.drawStrokes(/** @type {OffscreenCanvasRenderingContext2D} */ (context));
    return /** @type {ImageData} */ (context?.getImageData(0, 0, SIDE, SIDE));
  }

  /**
   * @param {MouseEvent} event
   * @returns {[number, number]}
   */
  position(event) {
    const box = this.canvas.getBoundingClientRect();
    const scale = SIDE / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  /** @param {[number, number]} point */
  begin(point) {
    this.open = { width: Number(this.pen.value), points: [point] };
    this.strokes.push(this.open);
    this.update();
  }

  /** @param {[number, number][]} points */
  extend(points) {
    if (!this.open) return;
    this.open.points.push(...points);
    this.update();
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    this.cursor ??= [SIDE / 2, SIDE / 2];
    if (move) {
      this.cursor = [
        Math.min(SIDE, Math.max(0, this.cursor[0] + STEP * move[0])),
        Math.min(SIDE, Math.max(0, this.cursor[1] + STEP * move[1])),
      ];
      this.extend([this.cursor]);
    } else if (this.open) {
      this.open = null;
    } else {
      this.begin(this.cursor);
    }
    this.draw();
  }

  update() {
    this.draw();
    this.changed();
  }

  draw() {
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.resetTransform();
    context.scale(this.canvas.width / SIDE, this.canvas.height / SIDE);
    this.drawStrokes(context);
    if (!this.cursor) return;
    context.strokeStyle = this.open ? "#a34700" : "#0b5fae";
    context.lineWidth = 2;
    context.beginPath();
    context.arc(...this.cursor, Number(this.pen.value) / 2 + 3, 0, 2 * Math.PI);
    context.stroke();
  }

  /** @param {CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D} context */
  drawStrokes(context) {
    context.fillStyle = "white";
    context.fillRect(0, 0, SIDE, SIDE);
    context.strokeStyle = "black";
    context.lineCap = context.lineJoin = "round";
    for (const { width, points } of this.strokes) {
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(...points[0]);
      for (const point of points) context.lineTo(...point);
      context.stroke();
    }
  }
}
