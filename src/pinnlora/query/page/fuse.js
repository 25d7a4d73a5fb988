// Fewer passes over memory: nodes of a graph joined where nothing else reads what lies between them.
"use strict";

// Operators element by element, joined to one loop where numbers are real.
const SIMPLE = {
  Add: "a + b", Sub: "a - b", Mul: "a * b", Div: "a / b", Neg: "-a", Exp: "Math.exp(a)", Sqrt: "Math.sqrt(a)", Abs: "Math.abs(a)",
  Floor: "Math.floor(a)", Sin: "Math.sin(a)", Cos: "Math.cos(a)", Reciprocal: "1 / a", Min: "Math.min(a, b)", Max: "Math.max(a, b)",
  Clip: "Math.max(a, b)",
};

// Whether the node that makes `name` may be joined with another: nothing else reads it, it depends on the same inputs, and
// has as many numbers, so that none is computed twice.
function joinable(nodes, outputs, values) {
  const uses = new Map(outputs.map((name) => [name, 2])), needs = ({needed}) => [...needed].sort().join();
  const size = ({outs}) => values.get(outs[0]).data.length;
  nodes.forEach(({ins}) => ins.forEach((name) => uses.set(name, (uses.get(name) || 0) + 1)));
  return (name, maker, node) => uses.get(name) === 1 && needs(maker) === needs(node) && size(maker) === size(node);
}

// The nodes of a graph that was computed once, fewer of them.
function fused(nodes, outputs, values) {
  return chained(layered(nodes, outputs, values), outputs, values);
}

// Products, what is added to them and its tanh as one node each.
function layered(nodes, outputs, values) {
  const joins = joinable(nodes, outputs, values), makers = new Map(), gone = new Set();
  for (const node of nodes) {
    const wanted = {Add: "MatMul", Tanh: "Dense"}[node.op];
    const name = node.ins.find((each) => makers.has(each) && makers.get(each).op === wanted && joins(each, makers.get(each), node));
    if (name) {
      const before = makers.get(name), others = node.ins.filter((each) => each !== name);
      gone.add(before);
      Object.assign(node, {op: "Dense", ins: [...before.ins, ...others], attributes: {tanh: node.op === "Tanh"}});
    }
    node.outs.forEach((each) => makers.set(each, node));
  }
  return nodes.filter((node) => !gone.has(node));
}

// Expressions of expressions as one node each; each rounded to single precision where that is what it was, which is faster too.
function chained(nodes, outputs, values) {
  const joins = joinable(nodes, outputs, values), open = new Map(), gone = new Set();
  for (const node of nodes) {
    const {data} = values.get(node.outs[0]), expression = SIMPLE[node.op], real = /^Float/.test(data.constructor.name);
    if (!expression || !real || node.ins.length !== (/\bb\b/.test(expression) ? 2 : 1)) continue;
    const read = (name) => {
      const before = open.get(name);
      if (!before || !joins(name, before.node, node)) return name;
      gone.add(before.node);
      return `(${before.text})`;
    };
    const rounded = data instanceof Float32Array ? `Math.fround(${expression})` : expression;
    const text = rounded.replace(/\b[ab]\b/g, (letter) => read(node.ins["ab".indexOf(letter)]));
    open.set(node.outs[0], {node, text});
  }
  for (const {node, text} of open.values()) {
    const names = [...new Set(text.match(/\bv\d+/g))];
    const numbered = text.replace(/\bv\d+/g, (name) => `x${names.indexOf(name)}`);
    Object.assign(node, {op: "Chain", ins: names, attributes: {text: numbered}});
  }
  return nodes.filter((node) => !gone.has(node));
}

const loops = new Map();

// One loop for all of a chain, compiled once for each text.
function chain(ins, {text}) {
  if (!loops.has(text)) loops.set(text, pointwise(text, ins.map((_, k) => `x${k}`)));
  return loops.get(text)(ins);
}
