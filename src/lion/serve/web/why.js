// What led to an answer: heat maps over the picture, and the router's gates as lines.

const RAMP = ["#000004", "#420a68", "#932667", "#dd513a", "#fca50a", "#fcffa4"].map((colour) =>
  [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16)),
);
const SVG = "http://www.w3.org/2000/svg";

/** Fill the "why" view. `explanation`: of the server; `picture`: an <img>. */
export function explain(explanation, picture) {
  const maps = ["aggregator", "qformer"].map((name) => [document.getElementById(name), explanation[name]]);
  const most = Math.max(...maps.map(([, map]) => (map ? times(map) : 0)));
  for (const [canvas, map] of maps) heat(canvas, map, picture, most);
  for (const [name, share] of Object.entries(explanation.read)) {
    const place = document.getElementById(`${name}-read`);
    if (place) place.textContent = `· ${Math.round(100 * share)} % of what was read`;
  }
  document.getElementById("most").textContent = `up to ${most.toFixed(0)} times an even look`;
  document.getElementById("gates").replaceChildren(
    ...["image", "region"].map((level) => chart(explanation.gates, level, level === explanation.level)),
  );
}

/** How many times an even share the brightest patch got. */
function times({ patches }) {
  const all = patches.flat();
  return Math.max(...all) * (all.length + 1);
}

/** The picture in grey under the shares of its patches, which blend into each other. */
function heat(canvas, map, picture, most) {
  canvas.closest("figure").hidden = !map;
  if (!map) return;
  const shade = document.createElement("canvas");
  const [rows, columns] = [map.patches.length, map.patches[0].length];
  [shade.width, shade.height] = [columns, rows];
  const pixels = new ImageData(columns, rows);
  map.patches.flat().forEach((share, number) => {
    pixels.data.set([...colour((share * (rows * columns + 1)) / most), 255], 4 * number);
  });
  shade.getContext("2d").putImageData(pixels, 0, 0);
  const ratio = picture.naturalWidth / picture.naturalHeight;
  [canvas.width, canvas.height] = ratio > 1 ? [480, Math.round(480 / ratio)] : [Math.round(480 * ratio), 480];
  const pen = canvas.getContext("2d");
  pen.filter = "grayscale(1)";
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  pen.filter = "none";
  pen.globalAlpha = 0.62;
  pen.imageSmoothingQuality = "high";
  pen.drawImage(shade, 0, 0, canvas.width, canvas.height);
  canvas.setAttribute("aria-label", `Heat map; brightest: ${times(map).toFixed(1)} times an even look`);
}

function colour(share) {
  const place = Math.min(Math.max(share, 0), 1) * (RAMP.length - 1);
  const low = Math.min(Math.floor(place), RAMP.length - 2);
  return RAMP[low].map((value, number) => Math.round(value + (place - low) * (RAMP[low + 1][number] - value)));
}

/** One level's gates: a line an adapter, with marks that tell them apart without colour. */
function chart({ blocks, ...levels }, level, used) {
  const [width, height, left, bottom, top] = [240, 130, 28, 22, 24];
  const all = ["image", "region"].flatMap((one) => ["image", "region"].flatMap((k) => [...levels[one][k].low, ...levels[one][k].high]));
  const [least, most] = [Math.min(0, ...all), Math.max(1, ...all)];
  const x = (number) => left + 8 + (number * (width - left - 16)) / Math.max(blocks.length - 1, 1);
  const y = (value) => top + ((most - value) * (height - top - bottom)) / (most - least);
  const points = (values) => values.map((value, number) => `${x(number).toFixed(1)},${y(value).toFixed(1)}`);
  const svg = add(null, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img" });
  svg.setAttribute("aria-label", `Gates at ${level} level${used ? ", which this answer used" : ""}`);
  add(svg, "text", { x: 0, y: 12, class: used ? "used" : "" }, `${level} level${used ? " · used here" : ""}`);
  for (const value of [0, 0.5, 1].filter((one) => one >= least && one <= most)) {
    add(svg, "line", { x1: left, x2: width, y1: y(value), y2: y(value), class: "grid" });
    add(svg, "text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, String(value));
  }
  const every = Math.ceil(blocks.length / 10);
  blocks.forEach((name, number) => {
    if (number % every) return;
    const short = name.replace("encoder ", "E").replace("decoder ", "D");
    add(svg, "text", { x: x(number), y: height - 6, "text-anchor": "middle" }, short);
  });
  ["region", "image"].forEach((adapter) => {
    const { mean, low, high } = levels[level][adapter];
    const band = [...points(high), ...points(low).reverse()].join(" ");
    add(svg, "polygon", { points: band, class: `band ${adapter}` });
    add(svg, "polyline", { points: points(mean).join(" "), class: `line ${adapter}` });
    points(mean).forEach((point) => mark(svg, adapter, ...point.split(",").map(Number)));
  });
  return svg;
}

function mark(svg, adapter, x, y) {
  if (adapter === "image") add(svg, "circle", { cx: x, cy: y, r: 3.2, class: "mark image" });
  else add(svg, "rect", { x: x - 3, y: y - 3, width: 6, height: 6, class: "mark region" });
}

function add(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  parent?.append(element);
  return element;
}
