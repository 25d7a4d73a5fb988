// The page: sliders for the task, the fields as the network gives them, the estimated error.
"use strict";

const about = JSON.parse(document.getElementById("surrogate").textContent);
kernels.start(Uint8Array.from(atob(about.kernels), (c) => c.charCodeAt(0)));
const graphs = Object.fromEntries(Object.entries(about.graphs).map(([name, graph]) => [name, new Graph(graph, about.constants)]));
const state = {unknowns: about.unknowns.map((each) => each.start), held: about.axes.map((axis) => (axis.low + axis.high) / 2)};
const shown = about.axes.slice(0, 2), held = about.axes.slice(2), element = (id) => document.getElementById(id);

function made(kind, parent, attributes = {}) {
  const node = Object.assign(document.createElement(kind), attributes);
  parent.append(node);
  return node;
}

const short = (x) => (x === 0 || (Math.abs(x) >= 1e-3 && Math.abs(x) < 1e4) ? String(+x.toPrecision(4)) : x.toExponential(2));
const brief = (x) => (Number.isFinite(x) ? x.toExponential(1) : "unknown");

// Fields at points (flat, point by point) of the task with these unknowns: {fields: {name: array}, inside, task: {name: array}}.
function ask(unknowns, points) {
  const dim = about.axes.length, many = points.length / dim, chunk = about.chunk, width = about.fields.length;
  const fields = Object.fromEntries(about.fields.map((name) => [name, new Float32Array(many)]));
  const inside = new Float32Array(many), task = {}, coords = new Float32Array(chunk * dim);
  for (let start = 0; start < many; start += chunk) {
    const here = Math.min(chunk, many - start);
    for (let k = 0; k < chunk * dim; k++) coords[k] = points[start * dim + (k < here * dim ? k : k % dim)];
    const given = {coords: tensor([chunk, dim], coords.slice())};
    if (start === 0) given.unknowns = tensor([unknowns.length], Float32Array.from(unknowns));
    const found = graphs.fields.run(given);
    about.fields.forEach((name, f) => {
      for (let k = 0; k < here; k++) fields[name][start + k] = found.fields.data[k * width + f];
    });
    inside.set(found.inside.data.subarray(0, here), start);
    about.task.forEach(({name}) => { task[name] = found[name].data; });
  }
  return {fields, inside, task};
}

// Residual, mismatch and loss at the points at which `predict` measures them; null where the page has no such graph.
function score(unknowns) {
  if (graphs.score) return Array.from(graphs.score.run({unknowns: tensor([unknowns.length], Float64Array.from(unknowns))}).scores.data);
  return about.table ? interpolated(about.table, unknowns) : null;
}

// Between the nodes of a table of logarithms, linear in each unknown; NaN beside one that the table does not have.
function interpolated({nodes, logs}, unknowns) {
  let corners = [[0, 1]];
  for (const z of unknowns) {
    const place = (Math.min(Math.max(z, -1), 1) + 1) / 2 * (nodes - 1), low = Math.min(Math.floor(place), nodes - 2);
    corners = corners.flatMap(([k, w]) => [[k * nodes + low, w * (low + 1 - place)], [k * nodes + low + 1, w * (place - low)]]);
  }
  return logs.map((log) => Math.exp(corners.reduce((sum, [k, w]) => sum + (w && w * (log[k] ?? NaN)), 0)));
}

// Whether the task is one that was trained on.
function inRange(unknowns) {
  const energies = {};
  for (const [k, {name, wave}] of about.unknowns.entries()) {
    const z = unknowns[k];
    if (wave === undefined && Math.abs(z) > 1 + 1e-5) return false;
    if (wave === 0 && Math.abs(z) > 4) return false;
    if (wave > 0) (energies[name] ||= [])[wave] = ((energies[name] || [])[wave] || 0) + z * z;
  }
  return Object.entries(energies).every(([name, energy]) => {
    const limits = about.task.find((each) => each.name === name).limits;
    return limits.every(([band, limit]) => energy.slice(1, band + 1).reduce((a, b) => a + (b || 0), 0) <= limit);
  });
}

function estimate(unknowns) {
  const known = inRange(unknowns), {calibration} = about;
  const scores = about.table && !known ? null : score(unknowns); // beyond its ends a table says nothing
  if (!scores) return {known};
  const [residual, mismatch, loss] = scores, found = {known, residual, mismatch, loss};
  if (!calibration) return found;
  const times = (factor) => (factor === null ? Infinity : factor * loss);
  const [low, high] = known ? [times(calibration.low), times(calibration.high)] : [0, Infinity];
  return {...found, error: times(calibration.median), low, high};
}

function told({known, residual, mismatch, error, low, high}) {
  const lines = [known ? "in the trained range" : "outside the trained range: the error is not known"];
  if (error !== undefined) lines.push(`estimated error ${brief(error)}${known ? ` (90 %: ${brief(low)} to ${brief(high)})` : ""}`);
  if (residual !== undefined) {
    lines.push(`residual ${brief(residual)}${Number.isNaN(mismatch) ? "" : `, conditions missed by ${brief(mismatch)}`}`);
  }
  return lines;
}

const between = (low, high, n) => Array.from({length: n}, (_, k) => low + (high - low) * k / (n - 1));

// The points that are drawn, or, while a slider moves, every second of each axis.
function grid(every = 1) {
  const lines = shown.map((axis) => between(axis.low, axis.high, (axis.count - 1) / every + 1)), points = [];
  for (const y of lines[1] || [0]) {
    for (const x of lines[0]) points.push(...[x, y].slice(0, shown.length), ...state.held.slice(2));
  }
  return {lines, points: Float32Array.from(points)};
}

function painted(canvas, values, inside, low, high, columns, rows) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d"), image = context.createImageData(columns, rows), scale = 255 / (high - low || 1);
  for (let j = 0; j < rows; j++) {
    for (let i = 0; i < columns; i++) {
      const from = j * columns + i, to = 4 * ((rows - 1 - j) * columns + i);
      const colour = 3 * Math.min(255, Math.max(0, Math.round((values[from] - low) * scale)));
      for (let c = 0; c < 3; c++) image.data[to + c] = about.colours[colour + c];
      image.data[to + 3] = inside[from] ? 255 : 0;
    }
  }
  context.putImageData(image, 0, 0);
}

function line(canvas, xs, ys) {
  const width = canvas.width = 480, height = canvas.height = canvas.dataset.height || 260, context = canvas.getContext("2d");
  const low = Math.min(...ys), span = Math.max(...ys) - low || 1, reach = xs[xs.length - 1] - xs[0];
  context.strokeStyle = "#31688e";
  context.lineWidth = 2;
  context.beginPath();
  xs.forEach((x, k) => context.lineTo((x - xs[0]) / reach * width, height - 4 - (ys[k] - low) / span * (height - 8)));
  context.stroke();
}

let last = null;

function redraw(every = 1) {
  const began = performance.now(), {lines, points} = grid(every), found = ask(state.unknowns, points), seen = estimate(state.unknowns);
  for (const name of about.fields) {
    const values = found.fields[name], there = values.filter((_, k) => found.inside[k]);
    const low = there.reduce((a, b) => Math.min(a, b), Infinity), high = there.reduce((a, b) => Math.max(a, b), -Infinity);
    const canvas = element(`field-${name}`);
    if (shown.length === 2) painted(canvas, values, found.inside, low, high, lines[0].length, lines[1].length);
    else line(canvas, lines[0], Array.from(values));
    element(`low-${name}`).textContent = short(low);
    element(`high-${name}`).textContent = short(high);
  }
  for (const {name, grid: places} of about.task) {
    if (places) line(element(`task-${name}`), places, Array.from(found.task[name]));
    else element(`value-${name}`).textContent = short(found.task[name][0]);
  }
  const lines2 = told(seen), milliseconds = performance.now() - began;
  element("trust").replaceChildren(...lines2.map((text) => Object.assign(document.createElement("div"), {textContent: text})));
  element("trust").className = seen.known ? "known" : "unknown";
  element("time").textContent = `${points.length / about.axes.length} points in ${milliseconds.toFixed(0)} ms`;
  last = {...found, points, seen, milliseconds};
}

let waiting = false, resting = 0;

// At once on a coarse grid, and on the whole one as soon as the slider rests.
function soon() {
  clearTimeout(resting);
  resting = setTimeout(redraw, 150);
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; redraw(2); });
}

function slider(parent, label, low, high, start, set, id) {
  const row = made("label", parent);
  made("span", row, {textContent: label});
  const value = made("output", row, id ? {id} : {textContent: short(start)});
  const input = made("input", row, {type: "range", min: low, max: high, step: (high - low) / 1000, value: start});
  input.addEventListener("input", () => {
    set(+input.value);
    if (!id) value.textContent = short(+input.value);
    soon();
  });
  return input;
}

function labels(place, className, texts) {
  const row = made("div", place, {className});
  texts.forEach((textContent) => made("span", row, {textContent}));
}

function build() {
  element("title").textContent = about.title;
  const sliders = [];
  for (const {name, grid: places} of about.task) {
    if (places) made("canvas", made("div", element("task"), {className: "function", title: name}), {id: `task-${name}`}).dataset.height = 90;
  }
  about.unknowns.forEach(({name, label, low, high, start}, k) => {
    const plain = about.unknowns[k].wave === undefined;
    if (label) sliders[k] = slider(element("task"), label, low, high, start, (z) => { state.unknowns[k] = z; }, plain ? `value-${name}` : "");
  });
  made("button", element("task"), {textContent: "another task"}).addEventListener("click", () => {
    state.unknowns = about.unknowns.map(({wave}) => (wave === undefined ? 2 * Math.random() - 1
      : Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random())));
    sliders.forEach((input, k) => { if (input) input.value = state.unknowns[k]; });
    redraw();
  });
  held.forEach((axis, k) => slider(element("slice"), axis.name, axis.low, axis.high, state.held[k + 2], (x) => { state.held[k + 2] = x; }));
  for (const name of about.fields) {
    const figure = made("figure", element("fields")), place = made("div", figure, {className: "place"});
    labels(place, "up", shown[1] ? [short(shown[1].high), shown[1].name, short(shown[1].low)] : [name]);
    made("canvas", place, {id: `field-${name}`, className: shown[1] ? "map" : "curve"});
    labels(place, "along", [short(shown[0].low), shown[0].name, short(shown[0].high)]);
    const bar = made("figcaption", figure);
    made("b", bar, {textContent: name});
    made("span", bar, {id: `low-${name}`});
    made("i", bar, {className: "bar"});
    made("span", bar, {id: `high-${name}`});
  }
  const stops = Array.from({length: 9}, (_, k) => `rgb(${about.colours.slice(3 * Math.round(255 * k / 8), 3 * Math.round(255 * k / 8) + 3)})`);
  document.querySelectorAll(".bar").forEach((bar) => { bar.style.background = `linear-gradient(to right, ${stops})`; });
  element("how").textContent = about.how;
}

build();
redraw();
