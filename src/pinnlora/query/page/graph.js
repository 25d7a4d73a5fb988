// An interpreter of ONNX graphs as `pinnlora explore` writes them: {inputs, outputs, constants, nodes: [[op, ins, outs,
// attributes]]}. A tensor is {shape, data}, its type that of its array; integers are Int32Array, truth values Uint8Array.
"use strict";

const TYPES = {1: Float32Array, 6: Int32Array, 7: Int32Array, 9: Uint8Array, 11: Float64Array};
const count = (shape) => shape.reduce((a, b) => a * b, 1);
const tensor = (shape, data) => ({shape, data});
const like = (x, size) => new x.data.constructor(size);
const axisOf = (axis, rank) => (axis < 0 ? axis + rank : axis);
const scalar = (x) => x.data[0];

function strides(shape) {
  const out = new Array(shape.length);
  for (let k = shape.length - 1, step = 1; k >= 0; step *= shape[k--]) out[k] = step;
  return out;
}

function broadcast(...shapes) {
  const rank = Math.max(...shapes.map((s) => s.length)), out = new Array(rank).fill(1);
  for (const s of shapes) s.forEach((n, k) => { if (n !== 1) out[rank - s.length + k] = n; });
  return out;
}

// The strides of a tensor seen in a larger shape: 0 along what is repeated.
function seenIn(shape, x) {
  const lead = shape.length - x.shape.length, own = strides(x.shape);
  return shape.map((_, k) => (k < lead || x.shape[k - lead] === 1 ? 0 : own[k - lead]));
}

// Calls row(out, place of each operand) for every run along the last axis, neighbouring axes joined where they can be.
function runs(shape, steps, row) {
  let dims = shape.slice(), walks = steps.map((s) => s.slice());
  for (let k = dims.length - 2; k >= 0; k--) {
    if (walks.every((w) => w[k] === w[k + 1] * dims[k + 1])) {
      dims.splice(k, 2, dims[k] * dims[k + 1]);
      walks.forEach((w) => w.splice(k, 1));
    }
  }
  if (!dims.length) { dims = [1]; walks = walks.map(() => [0]); }
  const last = dims.length - 1, length = dims[last], places = walks.map(() => 0), index = dims.map(() => 0);
  if (count(dims) === 0) return;
  for (let out = 0; ; out += length) {
    row(out, places, length, walks.map((w) => w[last]));
    let k = last - 1;
    for (; k >= 0; k--) {
      walks.forEach((w, i) => { places[i] += w[k]; });
      if (++index[k] < dims[k]) break;
      walks.forEach((w, i) => { places[i] -= w[k] * dims[k]; });
      index[k] = 0;
    }
    if (k < 0) return;
  }
}

// Element by element: `text` is an expression of `names`. A loop of its own for each expression, type of numbers and kind of
// strides, of which 0 and 1 need no arithmetic, keeps the engine's code fast.
function pointwise(text, names, type) {
  const made = new Map();
  const loop = (kind, strides) => {
    const key = `${kind.name} ${strides.map((w) => (w === 0 || w === 1 ? w : "w"))}`;
    if (made.has(key)) return made.get(key);
    const once = names.map((v, i) => (strides[i] === 0 ? `const ${v} = ${v}s[p[${i}]];` : `const p${i} = p[${i}], w${i} = w[${i}];`));
    const reads = names.map((v, i) => (strides[i] === 0 ? "" : `const ${v} = ${v}s[p${i} + k${strides[i] === 1 ? "" : ` * w${i}`}];`));
    const body = `${once.join(" ")} for (let k = 0; k < n; k++) { ${reads.join(" ")} out[start + k] = ${text}; }`;
    made.set(key, new Function("out", "start", "n", ...names.map((v) => `${v}s`), "p", "w", body));
    return made.get(key);
  };
  return (ins) => {
    const shape = broadcast(...ins.map((x) => x.shape)), model = ins[ins.length - 1];
    const data = type ? new type(count(shape)) : like(model, count(shape)), arrays = ins.map((x) => x.data);
    let chosen = null;
    runs(shape, ins.map((x) => seenIn(shape, x)), (at, p, n, w) => {
      chosen ||= loop(model.data.constructor, w);
      chosen(data, at, n, ...arrays, p, w);
    });
    return tensor(shape, data);
  };
}

// What is read with any strides from any place, into one piece of memory.
function gathered(x, shape, steps, start = 0) {
  const data = like(x, count(shape)), from = x.data;
  runs(shape, [steps], (at, [p], n, [w]) => { for (let k = 0; k < n; k++) data[at + k] = from[start + p + k * w]; });
  return tensor(shape, data);
}

function transposed(x, order) {
  const own = strides(x.shape), turn = order || x.shape.map((_, k) => x.shape.length - 1 - k);
  return gathered(x, turn.map((k) => x.shape[k]), turn.map((k) => own[k]));
}

function sliced([x, starts, ends, axes, steps]) {
  const shape = x.shape.slice(), own = strides(x.shape);
  let begin = 0;
  for (let i = 0; i < starts.data.length; i++) {
    const axis = axisOf(axes ? axes.data[i] : i, shape.length), n = x.shape[axis], step = steps ? steps.data[i] : 1;
    const inside = (v) => Math.min(Math.max(v < 0 ? v + n : v, step < 0 ? -1 : 0), step < 0 ? n - 1 : n);
    const from = inside(starts.data[i]), to = ends.data[i] < -n ? -1 : inside(ends.data[i]);
    begin += from * own[axis];
    shape[axis] = Math.max(0, Math.ceil((to - from) / step));
    own[axis] *= step;
  }
  return gathered(x, shape, own, begin);
}

function joined(ins, axis) {
  const shape = ins[0].shape.slice(), at = axisOf(axis, shape.length);
  shape[at] = ins.reduce((sum, x) => sum + x.shape[at], 0);
  const data = like(ins[0], count(shape)), whole = count(shape.slice(at));
  let start = 0;
  for (const x of ins) {
    const part = count(x.shape.slice(at));
    for (let k = 0, from = 0; from < x.data.length; k++, from += part) {
      data.set(x.data.subarray(from, from + part), start + k * whole);
    }
    start += part;
  }
  return tensor(shape, data);
}

function gather([x, indices], {axis = 0}) {
  const at = axisOf(axis, x.shape.length), inner = count(x.shape.slice(at + 1)), outer = count(x.shape.slice(0, at));
  const shape = [...x.shape.slice(0, at), ...indices.shape, ...x.shape.slice(at + 1)], data = like(x, count(shape));
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (const index of indices.data) {
      const from = (o * x.shape[at] + axisOf(index, x.shape[at])) * inner;
      data.set(x.data.subarray(from, from + inner), to);
      to += inner;
    }
  }
  return tensor(shape, data);
}

// Places in x of the elements that `indices` names along an axis.
function along(x, indices, axis, visit) {
  const own = strides(x.shape), steps = own.slice();
  steps[axis] = 0;
  runs(indices.shape, [steps], (at, [p], n, [w]) => {
    for (let k = 0; k < n; k++) visit(at + k, p + k * w + axisOf(indices.data[at + k], x.shape[axis]) * own[axis]);
  });
}

function gatherElements([x, indices], {axis = 0}) {
  const data = like(x, indices.data.length);
  along(x, indices, axisOf(axis, x.shape.length), (out, place) => { data[out] = x.data[place]; });
  return tensor(indices.shape, data);
}

function scatterElements([x, indices, updates], {axis = 0, reduction = "none"}) {
  const data = x.data.slice(), sum = reduction === "add";
  along(x, indices, axisOf(axis, x.shape.length), (from, place) => {
    data[place] = sum ? data[place] + updates.data[from] : updates.data[from];
  });
  return tensor(x.shape, data);
}

// Starts of the slices of x that the last axis of `indices` names, and how long they are.
function blocks(x, indices, batch = 0) {
  const depth = indices.shape[indices.shape.length - 1], own = strides(x.shape), starts = [];
  const each = count(indices.shape.slice(batch)) / depth;
  for (let i = 0; i * depth < indices.data.length; i++) {
    let start = batch ? Math.floor(i / each) * own[batch - 1] : 0;
    for (let k = 0; k < depth; k++) start += axisOf(indices.data[i * depth + k], x.shape[batch + k]) * own[batch + k];
    starts.push(start);
  }
  return [starts, count(x.shape.slice(batch + depth)), depth];
}

function gatherND([x, indices], {batch_dims = 0}) {
  const [starts, length, depth] = blocks(x, indices, batch_dims), data = like(x, starts.length * length);
  starts.forEach((start, i) => data.set(x.data.subarray(start, start + length), i * length));
  return tensor([...indices.shape.slice(0, -1), ...x.shape.slice(batch_dims + depth)], data);
}

function scatterND([x, indices, updates], {reduction = "none"}) {
  const [starts, length] = blocks(x, indices), data = x.data.slice();
  starts.forEach((start, i) => {
    for (let k = 0; k < length; k++) {
      const value = updates.data[i * length + k];
      data[start + k] = reduction === "add" ? data[start + k] + value : value;
    }
  });
  return tensor(x.shape, data);
}

function reduced(fold, first, finish = (v) => v) {
  return ([x, axes], {keepdims = 1, axes: own, noop_with_empty_axes: noop = 0}) => {
    const named = axes ? Array.from(axes.data) : own || [];
    if (!named.length && noop) return x;
    const gone = new Set(named.length ? named.map((k) => axisOf(k, x.shape.length)) : x.shape.map((_, k) => k));
    const shape = x.shape.map((n, k) => (gone.has(k) ? 1 : n)), size = count(shape);
    const sums = new Float64Array(size).fill(first), steps = seenIn(x.shape, tensor(shape, null));
    runs(x.shape, [steps], (at, [p], n, [w]) => {
      for (let k = 0; k < n; k++) sums[p + k * w] = fold(sums[p + k * w], x.data[at + k]);
    });
    const data = like(x, size), over = x.data.length / size;
    for (let k = 0; k < size; k++) data[k] = finish(sums[k], over);
    return tensor(keepdims ? shape : shape.filter((_, k) => !gone.has(k)), data);
  };
}

function padded([x, pads, value, axes], {mode = "constant"}) {
  if (mode !== "constant") throw new Error(`Pad: mode ${mode}`);
  const named = axes ? Array.from(axes.data, (k) => axisOf(k, x.shape.length)) : x.shape.map((_, k) => k);
  const before = x.shape.map(() => 0), shape = x.shape.slice();
  named.forEach((axis, i) => {
    before[axis] = pads.data[i];
    shape[axis] += pads.data[i] + pads.data[i + named.length];
  });
  const data = like(x, count(shape)).fill(value ? scalar(value) : 0), to = strides(shape), from = strides(x.shape);
  const kept = x.shape.map((n, k) => Math.min(n + before[k], shape[k]) - Math.max(before[k], 0));
  if (kept.some((n) => n <= 0)) return tensor(shape, data);
  const start = (steps, sign) => steps.reduce((sum, step, k) => sum + step * Math.max(0, sign * before[k]), 0);
  const into = start(to, 1), out = start(from, -1);
  runs(kept, [to, from], (_, [p, q], n, [w, v]) => {
    for (let k = 0; k < n; k++) data[into + p + k * w] = x.data[out + q + k * v];
  });
  return tensor(shape, data);
}

// The discrete Fourier transform as a sum: of task functions, which are short.
function dft([x, length, where], {axis = 1, inverse = 0, onesided = 0}) {
  const rank = x.shape.length, at = axisOf(where ? scalar(where) : axis, rank), n = x.shape[at];
  const full = length ? scalar(length) : inverse && onesided ? 2 * (n - 1) : n, real = x.shape[rank - 1] === 1;
  const outs = onesided && !inverse ? Math.floor(full / 2) + 1 : full, shape = x.shape.slice();
  shape[at] = outs;
  shape[rank - 1] = onesided && inverse ? 1 : 2;
  const data = like(x, count(shape)), from = strides(x.shape), to = strides(shape);
  const rows = x.shape.map((m, k) => (k === at || k === rank - 1 ? 1 : m)), sign = inverse ? 1 : -1;
  const scale = inverse ? 1 / full : 1;
  runs(rows, [seenIn(rows, {shape: rows}).map((s, k) => s && from[k]), seenIn(rows, {shape: rows}).map((s, k) => s && to[k])],
    (_, [p, q], m, [w, v]) => {
      for (let r = 0; r < m; r++) {
        for (let j = 0; j < outs; j++) {
          let re = 0, im = 0;
          const add = (k, a, b) => {
            const angle = sign * 2 * Math.PI * ((j * k) % full) / full, c = Math.cos(angle), s = Math.sin(angle);
            re += a * c - b * s;
            im += a * s + b * c;
          };
          for (let k = 0; k < Math.min(n, full); k++) {
            const place = p + r * w + k * from[at], a = x.data[place], b = real ? 0 : x.data[place + 1];
            add(k, a, b);
            if (onesided && inverse && k > 0 && 2 * k < full) add(full - k, a, -b);
          }
          const out = q + r * v + j * to[at];
          data[out] = re * scale;
          if (shape[rank - 1] === 2) data[out + 1] = im * scale;
        }
      }
    });
  return tensor(shape, data);
}

function multiplied(a, b, bias, tanh) {
  const left = a.shape.length === 1 ? tensor([1, ...a.shape], a.data) : a;
  const right = b.shape.length === 1 ? tensor([...b.shape, 1], b.data) : b;
  const [m, depth] = left.shape.slice(-2), n = right.shape[right.shape.length - 1];
  const batch = broadcast(left.shape.slice(0, -2), right.shape.slice(0, -2)), data = like(a, count(batch) * m * n);
  const steps = [left, right].map((x) => {
    const size = count(x.shape.slice(-2)), lead = tensor(x.shape.slice(0, -2), null);
    return seenIn(batch, lead).map((s) => s * size);
  });
  runs(batch, steps, (at, [p, q], many, [w, v]) => {
    for (let k = 0; k < many; k++) {
      const one = left.data.subarray(p + k * w, p + k * w + m * depth), start = (at + k) * m * n;
      const two = right.data.subarray(q + k * v, q + k * v + depth * n);
      product(one, two, data.subarray(start, start + m * n), m, depth, n, bias, tanh);
    }
  });
  const shape = [...batch, ...(a.shape.length === 1 ? [] : [m]), ...(b.shape.length === 1 ? [] : [n])];
  return tensor(shape, data);
}

// out (m, n) = bias (n) + a (m, depth) b (depth, n), its tanh if so asked, by the kernels where it is large.
function product(a, b, out, m, depth, n, bias, tanh) {
  if (m * depth * n > 20000 && kernels.multiply(a, b, out, m, depth, n, bias, tanh)) return;
  const row = new Float64Array(n);
  for (let i = 0; i < m; i++) {
    if (bias) row.set(bias);
    else row.fill(0);
    for (let p = 0; p < depth; p++) {
      const x = a[i * depth + p], from = p * n;
      for (let j = 0; j < n; j++) row[j] += x * b[from + j];
    }
    out.set(tanh ? row.map(Math.tanh) : row, i * n);
  }
}

// A layer in one piece: what `layered` makes of MatMul, Add and Tanh.
function dense([a, b, bias], {tanh = false}) {
  const row = bias.data.length === b.shape[b.shape.length - 1] && bias.shape[bias.shape.length - 1] === bias.data.length;
  if (row && a.shape.length > 1 && bias.shape.length <= a.shape.length) return multiplied(a, b, bias.data, tanh);
  const sum = OPS.Add([multiplied(a, b), bias]);
  return tanh ? OPS.Tanh([sum]) : sum;
}

const turned = new WeakMap();

// The transpose of what is asked for again and again: weights.
function turnedOnce(x) {
  if (!turned.has(x)) turned.set(x, transposed(x));
  return turned.get(x);
}

function gemm([a, b, c], {alpha = 1, beta = 1, transA = 0, transB = 0}) {
  let out = multiplied(transA ? transposed(a) : a, transB ? turnedOnce(b) : b);
  const times = (x, factor) => (factor === 1 ? x : OPS.Mul([tensor([], like(x, 1).fill(factor)), x]));
  out = times(out, alpha);
  return c ? OPS.Add([times(c, beta), out]) : out;
}

const one = (text, type) => pointwise(text, ["a"], type);
const two = (text, type) => pointwise(text, ["a", "b"], type);
const fold = (op) => (ins) => ins.reduce((a, b) => op([a, b]));
const plainTanh = one("Math.tanh(a)");
const sizes = (shape) => tensor([shape.length], Int32Array.from(shape));

const OPS = {
  Add: two("a + b"), Sub: two("a - b"), Mul: two("a * b"), Div: two("a / b"), Neg: one("-a"),
  Pow: ([a, b]) => (a.data.constructor === b.data.constructor ? raised([a, b]) : raised([a, cast(b, a.data.constructor)])),
  Sqrt: one("Math.sqrt(a)"), Exp: one("Math.exp(a)"), Log: one("Math.log(a)"), Reciprocal: one("1 / a"),
  Abs: one("Math.abs(a)"), Sign: one("Math.sign(a)"), Floor: one("Math.floor(a)"), Ceil: one("Math.ceil(a)"),
  Sin: one("Math.sin(a)"), Cos: one("Math.cos(a)"), Tan: one("Math.tan(a)"), Asin: one("Math.asin(a)"),
  Acos: one("Math.acos(a)"), Atan: one("Math.atan(a)"), Sinh: one("Math.sinh(a)"), Cosh: one("Math.cosh(a)"),
  Tanh: ([x]) => kernels.tanh(x) || plainTanh([x]), Sigmoid: one("1 / (1 + Math.exp(-a))"),
  Softplus: one("Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a)))"), Relu: one("Math.max(a, 0)"),
  Mod: (ins, {fmod = 0}) => (fmod ? two("a % b") : two("a - b * Math.floor(a / b)"))(ins),
  Min: fold(two("Math.min(a, b)")), Max: fold(two("Math.max(a, b)")), Sum: fold(two("a + b")),
  Clip: ([x, low, high]) => {
    const above = low ? OPS.Max([low, x]) : x;
    return high ? OPS.Min([high, above]) : above;
  },
  Less: two("a < b", Uint8Array), LessOrEqual: two("a <= b", Uint8Array), Greater: two("a > b", Uint8Array),
  GreaterOrEqual: two("a >= b", Uint8Array), Equal: two("a === b", Uint8Array), And: two("a & b"), Or: two("a | b"),
  Not: one("1 - a"), Xor: two("a ^ b"), IsNaN: one("a !== a", Uint8Array),
  IsInf: ([x], {detect_positive: up = 1, detect_negative: down = 1}) =>
    one(`(${up} && a === Infinity) || (${down} && a === -Infinity)`, Uint8Array)([x]),
  Where: pointwise("a ? b : c", ["a", "b", "c"]),
  Cast: ([x], {to}) => cast(x, TYPES[to]), CastLike: ([x, y]) => cast(x, y.data.constructor), Identity: ([x]) => x,
  Reshape: ([x, wanted], {allowzero = 0}) => {
    const shape = Array.from(wanted.data, (n, k) => (n === 0 && !allowzero ? x.shape[k] : n)), open = shape.indexOf(-1);
    if (open >= 0) shape[open] = x.data.length / -count(shape);
    return tensor(shape, x.data);
  },
  Flatten: ([x], {axis = 1}) => tensor([count(x.shape.slice(0, axis)), count(x.shape.slice(axis))], x.data),
  Unsqueeze: ([x, axes]) => {
    const rank = x.shape.length + axes.data.length, made = new Set(Array.from(axes.data, (k) => axisOf(k, rank)));
    const left = x.shape.slice();
    return tensor(Array.from({length: rank}, (_, k) => (made.has(k) ? 1 : left.shift())), x.data);
  },
  Squeeze: ([x, axes]) => {
    const gone = axes && new Set(Array.from(axes.data, (k) => axisOf(k, x.shape.length)));
    return tensor(x.shape.filter((n, k) => (gone ? !gone.has(k) : n !== 1)), x.data);
  },
  Transpose: ([x], {perm}) => transposed(x, perm),
  Expand: ([x, wanted]) => {
    const shape = broadcast(x.shape, Array.from(wanted.data));
    return gathered(x, shape, seenIn(shape, x));
  },
  Tile: ([x, repeats]) => Array.from(repeats.data).reduce((t, n, k) => joined(new Array(n).fill(t), k), x),
  Shape: ([x], {start = 0, end}) => sizes(x.shape.slice(start, end)), Size: ([x]) => tensor([], Int32Array.of(x.data.length)),
  ConstantOfShape: ([shape], {value}) => {
    const size = Array.from(shape.data), data = value ? like(value, count(size)) : new Float32Array(count(size));
    return tensor(size, data.fill(value ? scalar(value) : 0));
  },
  Range: ([from, to, step]) => {
    const n = Math.max(0, Math.ceil((scalar(to) - scalar(from)) / scalar(step)));
    return tensor([n], like(from, n).map((_, k) => scalar(from) + k * scalar(step)));
  },
  Slice: sliced, Concat: (ins, {axis}) => joined(ins, axis), Pad: padded, DFT: dft, MatMul: ([a, b]) => multiplied(a, b),
  Dense: dense, Chain: chain, Gather: gather, GatherElements: gatherElements, ScatterElements: scatterElements, GatherND: gatherND,
  ScatterND: scatterND, Gemm: gemm,
  Split: ([x, parts], {axis = 0, num_outputs: many}) => {
    const at = axisOf(axis, x.shape.length), n = x.shape[at], each = Math.ceil(n / many);
    const lengths = parts ? Array.from(parts.data) : Array.from({length: many}, (_, k) => Math.min(each, n - k * each));
    let start = 0;
    return lengths.map((length) => {
      const from = Int32Array.of(start), to = Int32Array.of(start += length);
      return sliced([x, tensor([1], from), tensor([1], to), tensor([1], Int32Array.of(at))]);
    });
  },
  ReduceSum: reduced((a, b) => a + b, 0), ReduceMean: reduced((a, b) => a + b, 0, (a, n) => a / n),
  ReduceProd: reduced((a, b) => a * b, 1), ReduceMax: reduced((a, b) => Math.max(a, b), -Infinity),
  ReduceMin: reduced((a, b) => Math.min(a, b), Infinity), ReduceSumSquare: reduced((a, b) => a + b * b, 0),
  ReduceL2: reduced((a, b) => a + b * b, 0, Math.sqrt),
};
const raised = two("b === 2 ? a * a : b === 3 ? a * a * a : Math.pow(a, b)");

function cast(x, type) {
  if (x.data.constructor === type) return x;
  return tensor(x.shape, type === Uint8Array ? type.from(x.data, (v) => +(v !== 0)) : type.from(x.data));
}

// The tensor of a stored constant [type, shape, key].
function stored([type, shape, key], constants) {
  const [kept, text] = constants[key], types = {float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array};
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return cast(tensor(shape, new types[kept](bytes.buffer)), types[type]);
}

// A graph that computes anew only what depends on the inputs that changed: run({name: tensor}) -> {name: tensor}.
class Graph {
  constructor({inputs, outputs, nodes, constants}, numbers) {
    this.inputs = inputs;
    this.outputs = outputs;
    this.values = new Map(Object.entries(constants).map(([name, constant]) => [name, stored(constant, numbers)]));
    const needs = new Map(Object.values(inputs).map((name) => [name, new Set([name])]));
    this.fused = false;
    this.nodes = nodes.map(([op, ins, outs, attributes = {}]) => {
      for (const [key, value] of Object.entries(attributes)) {
        if (value.constant) attributes[key] = stored(value.constant, numbers);
      }
      const needed = new Set(ins.flatMap((name) => [...(needs.get(name) || [])]));
      outs.forEach((name) => needs.set(name, needed));
      return {op, ins, outs, attributes, needed};
    });
    this.compute(this.nodes.filter((node) => node.needed.size === 0));
  }

  run(given) {
    const names = Object.keys(given).map((name) => this.inputs[name]);
    Object.values(given).forEach((value, k) => this.values.set(names[k], value));
    this.compute(this.nodes.filter((node) => names.some((name) => node.needed.has(name))));
    if (!this.fused) this.nodes = fused(this.nodes, Object.values(this.outputs), this.values);
    this.fused = true;
    return Object.fromEntries(Object.entries(this.outputs).map(([name, short]) => [name, this.values.get(short)]));
  }

  compute(nodes) {
    for (const {op, ins, outs, attributes} of nodes) {
      const made = OPS[op](ins.map((name) => (name ? this.values.get(name) : undefined)), attributes);
      (Array.isArray(made) ? made : [made]).forEach((value, k) => this.values.set(outs[k], value));
    }
  }
}
