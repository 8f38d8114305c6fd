"""How data flows through a model: a front end records it, and an analysis reads it that knows no framework.

A front end (PyTorch, JAX) needs only shapes. It

1. makes a `Graph`, and a value of every parameter, input and constant (`Graph.parameter`, `data`, `constant`);
2. sets `Graph.where` to what is running, if it knows (a module's path; it serves as evidence, nothing is read from it);
3. reports every operation, in order, by the function that fits it, and keeps the value that this returns:
   `elementwise` (and `softmax`, `normalize`), `views` (reshape, permute, narrow, select, expand, …), `products`
   (contract, convolve, attend) and `gathering` (look up, concatenate, reduce, scatter, resize); `opaque` for an
   operation that fits none;
4. appends the values that the model returns to `Graph.outputs`;
5. calls `widthwise.reading.dataflow.reading.read(graph, source)`, which returns the `ModelReading`.

The names of operations matter where the analysis asks for them: "add", "mul", "div", "softmax", "exp", "tanh", "rsqrt",
"topk", "convert" (another type of numbers), what `elementwise.ACTIVATIONS` lists, and those that the functions set. Any
other name is as good as another.

`Value.discrete` is for the front end to set on integers and truths: no gradient passes through them.
"""
