// The picture with boxes on it, and the region that is drawn with mouse, finger or arrow keys.

const $ = (id) => document.getElementById(id);
const COLOURS = ["#e6194b", "#0a6cff", "#c95a00", "#1a9641", "#911eb4", "#007c89"];
const SMALLEST = 0.02;

let region = [0.25, 0.25, 0.75, 0.75];

/** Show a picture: a data: URL. Rejects if the browser cannot decode it. */
export async function show(url) {
  const picture = $("picture");
  const trial = new Image();
  trial.src = url;
  await trial.decode();
  picture.src = url;
  $("frame").style.setProperty("--ratio", trial.naturalWidth / trial.naturalHeight);
  $("frame").hidden = false;
  $("empty").hidden = true;
  boxes([]);
}

/** Draw boxes, {label, unit, score}, and say them in the picture's description. */
export function boxes(found) {
  $("boxes").replaceChildren(
    ...found.map(({ label, unit, score }, number) => {
      const [x1, y1, x2, y2] = unit.map((value) => Math.min(Math.max(value, 0), 1));
      const box = place(document.createElement("div"), [x1, y1, x2, y2]);
      box.className = "box" + (y1 < 0.09 ? " inside" : "") + (x1 > 0.6 ? " right" : "");
      box.style.setProperty("--colour", COLOURS[number % COLOURS.length]);
      const name = document.createElement("span");
      name.textContent = score == null ? label : `${label} ${Math.round(100 * score)} %`;
      name.title = score == null ? label : `${label}: the model expects to overlap it by ${Math.round(100 * score)} %`;
      box.append(name);
      return box;
    }),
  );
  $("picture").alt = found.length ? `The picture, with a box around ${found.map((box) => box.label).join(", ")}` : "The picture";
}

function place(element, [x1, y1, x2, y2]) {
  Object.assign(element.style, {
    left: `${100 * x1}%`,
    top: `${100 * y1}%`,
    width: `${100 * (x2 - x1)}%`,
    height: `${100 * (y2 - y1)}%`,
  });
  return element;
}

/** Whether a region can be drawn now. */
export function drawing(on) {
  $("region").hidden = !on;
  $("frame").classList.toggle("drawing", on);
  place($("region"), region);
}

/** The region, x1, y1, x2, y2 in the unit square. */
export function drawn() {
  return region.map((value) => Math.round(1000 * value) / 1000);
}

function set(next) {
  region = next;
  place($("region"), region);
  $("region").dispatchEvent(new CustomEvent("drawn", { bubbles: true }));
}

function listen() {
  const frame = $("frame");
  let start = null;
  const at = (event) => {
    const area = frame.getBoundingClientRect();
    const inside = (value) => Math.min(Math.max(value, 0), 1);
    return [inside((event.clientX - area.left) / area.width), inside((event.clientY - area.top) / area.height)];
  };
  frame.addEventListener("pointerdown", (event) => {
    if (!frame.classList.contains("drawing") || event.button) return;
    event.preventDefault();
    start = at(event);
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!start) return;
    const [x, y] = at(event);
    const [left, right] = [Math.min(x, start[0]), Math.max(x, start[0])];
    const [top, bottom] = [Math.min(y, start[1]), Math.max(y, start[1])];
    if (right - left >= SMALLEST && bottom - top >= SMALLEST) set([left, top, right, bottom]);
  });
  const stop = () => {
    if (start) $("region").focus({ preventScroll: true });
    start = null;
  };
  frame.addEventListener("pointerup", stop);
  frame.addEventListener("pointercancel", stop);
  $("region").addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    set(event.shiftKey ? resized(step) : moved(step));
  });
}

const STEP = 0.02;

function moved([x, y]) {
  const [x1, y1, x2, y2] = region;
  const right = Math.min(Math.max(x * STEP, -x1), 1 - x2);
  const down = Math.min(Math.max(y * STEP, -y1), 1 - y2);
  return [x1 + right, y1 + down, x2 + right, y2 + down];
}

function resized([x, y]) {
  const [x1, y1, x2, y2] = region;
  const edge = (value, low) => Math.min(Math.max(value, low + SMALLEST), 1);
  return [x1, y1, edge(x2 + x * STEP, x1), edge(y2 + y * STEP, y1)];
}

listen();
