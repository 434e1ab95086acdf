/** A canvas that fills its element and is sharp at every size and zoom. */

const SHARPNESS = [0.5, 4]; // canvas pixels for one of the element's own, at least and at most

export class SharpCanvas {
  #frame = 0;
  #draw;
  #resizes = new ResizeObserver(() => this.redraw());

  /**
   * @param {HTMLElement} element where the canvas goes
   * @param {(ctx: CanvasRenderingContext2D, width: number, height: number) => void} draw on a canvas that was cleared,
   *   scaled so that its unit is a pixel of the page
   */
  constructor(element, draw) {
    this.#draw = draw;
    this.element = element;
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    element.prepend(this.canvas);
    this.#resizes.observe(element);
  }

  /** How much the page shows its element larger than it is: nodes are zoomed. */
  get zoom() {
    return this.element.getBoundingClientRect().width / this.element.clientWidth || 1;
  }

  /** Draws at the next frame, however often it is asked before. */
  redraw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#drawNow());
  }

  destroy() {
    this.#resizes.disconnect();
    cancelAnimationFrame(this.#frame);
  }

  #drawNow() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (!width || !height) return;
    // One canvas pixel for each of the screen: browsers shrink canvases badly.
    const sharpness = Math.min(SHARPNESS[1], Math.max(SHARPNESS[0], this.zoom * (window.devicePixelRatio || 1)));
    const [across, down] = [Math.round(width * sharpness), Math.round(height * sharpness)];
    if (this.canvas.width !== across || this.canvas.height !== down) Object.assign(this.canvas, { width: across, height: down });
    const ctx = this.canvas.getContext("2d");
    ctx.setTransform(sharpness, 0, 0, sharpness, 0, 0);
    ctx.clearRect(0, 0, width, height);
    this.#draw(ctx, width, height);
  }
}
