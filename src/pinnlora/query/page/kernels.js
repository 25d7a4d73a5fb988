// The compiled kernels (kernels.wat) on arrays of JavaScript: copied in, copied out. Without WebAssembly: plain loops.
"use strict";

const kernels = {
  code: null,

  start(bytes) {
    try {
      this.code = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    } catch (error) {
      console.warn(`slower without WebAssembly: ${error}`);
    }
  },

  // The arrays' memory, at least so many bytes of it.
  room(bytes) {
    const lacking = bytes - this.code.memory.buffer.byteLength;
    if (lacking > 0) this.code.memory.grow(Math.ceil(lacking / 65536));
    return this.code.memory.buffer;
  },

  // out (m, n) = bias (n) + a (m, depth) b (depth, n), its tanh if so asked; false where plain loops have to do it.
  multiply(a, b, out, m, depth, n, bias, tanh) {
    const Type = a.constructor, name = {Float32Array: "multiply32", Float64Array: "multiply64"}[Type.name];
    if (!this.code || !name || b.constructor !== Type) return false;
    const each = Type.BYTES_PER_ELEMENT, tile = 32 / each, rows = Math.ceil(m / 4) * 4, wide = Math.ceil(n / tile) * tile;
    const places = [0, depth * wide, depth * wide + wide, depth * wide + wide + rows * depth];
    const room = this.room((places[3] + rows * wide) * each), numbers = new Type(room, 0, places[3] + rows * wide);
    if (wide === n) numbers.set(b);
    else for (let p = 0; p < depth; p++) numbers.fill(0, p * wide, p * wide + wide).set(b.subarray(p * n, p * n + n), p * wide);
    numbers.fill(0, places[1], places[2]);
    if (bias) numbers.set(bias, places[1]);
    numbers.set(a, places[2]);
    this.code[name](places[2] * each, 0, places[1] * each, places[3] * each, rows, depth, wide);
    if (tanh && each === 4) this.code.tanh(places[3] * each, rows * wide);
    const found = numbers.subarray(places[3]);
    if (wide === n) out.set(found.subarray(0, m * n));
    else for (let i = 0; i < m; i++) out.set(found.subarray(i * wide, i * wide + n), i * n);
    if (tanh && each === 8) for (let i = 0; i < m * n; i++) out[i] = Math.tanh(out[i]);
    return true;
  },

  // tanh of a large tensor of float32, else nothing.
  tanh(x) {
    if (!this.code || !(x.data instanceof Float32Array) || x.data.length < 256) return null;
    const many = Math.ceil(x.data.length / 4) * 4, numbers = new Float32Array(this.room(4 * many), 0, many);
    numbers.set(x.data);
    this.code.tanh(0, many);
    return {shape: x.shape, data: numbers.slice(0, x.data.length)};
  },
};
