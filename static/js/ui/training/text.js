// The words about training: hyper-parameters with one line each about what they do, presets, what is said of layers.
// Beside ../text.js, and translated with it.

/** Label and one-line explanation of each hyper-parameter. @type {Record<string, [string, string]>} */
export const hyper = {
  period: ["Period T", "Length of one iteration in seconds. Longer for slow links, shorter for quick feedback."],
  grace: ["Grace", "Seconds after T that an answer may still take. 0: a tenth of T."],
  vectors: ["Vectors per worker", "The most that one worker computes in one iteration. 0: any."],
  close_when_saturated: ["Close when saturated", "An iteration ends early when every worker has used all it holds."],
  seed: ["Seed", "Decides initial values, order and dropout. A change acts at the next reboot. Empty: by chance."],
  learning_rate: ["Learning rate", "How far one step goes. Too large: the loss jumps. Too small: it creeps."],
  optimizer: ["Optimizer", "AdaGrad fits its steps to each parameter by itself; it is the paper's."],
  momentum: ["Momentum", "Share of the last step that is repeated."],
  rho: ["Memory of squares", "How much of the old mean square stays at each step."],
  beta1: ["Beta 1", "How much of the old mean gradient stays at each step."],
  beta2: ["Beta 2", "How much of the old mean square stays at each step."],
  epsilon: ["Epsilon", "Keeps the division from exploding where a gradient was always tiny."],
  clip: ["Gradient clip", "Largest length of the mean gradient. 0: any."],
  l2: ["L2 decay", "Pulls large weights towards zero, against overfitting."],
  l1: ["L1 decay", "Pulls all weights towards zero and makes many exactly zero."],
  warmup: ["Warm-up", "Steps over which the learning rate rises from nothing."],
  decay: ["Rate decay", "The learning rate is multiplied by this at each decay. 1: never."],
  decay_interval: ["Decay every", "Steps from one decay to the next. 0: never."],
  decay_floor: ["Decay floor", "The learning rate never decays below this."],
  local_steps: ["Local steps", "Each worker takes many small steps of its own and sends the difference, instead of one gradient: for many fast devices on little data. Turning it on chooses SGD with rate 1 above, which averages the differences."],
  local_rate: ["Local rate", "Learning rate of the steps that a worker takes."],
  local_momentum: ["Local momentum", "Share of its last step that a worker repeats."],
  local_batch: ["Local batch", "Vectors of one local step."],
};

export const groups = {
  step: "Optimizer",
  decay: "Decay",
  iteration: "Iteration",
  local: "Local steps",
  more: "More",
};

export const layerWords = {
  title: "Layers",
  lead: "Times the learning rate, times the L2 decay, and whether a layer's parameters stay as they are.",
  rate: "Rate ×",
  decay: "L2 ×",
  frozen: "Frozen",
  rateOf: (/** @type {string} */ name) => `Rate of ${name}, times the learning rate`,
  decayOf: (/** @type {string} */ name) => `L2 decay of ${name}, times the L2 decay`,
  frozenOf: (/** @type {string} */ name) => `Freeze ${name}`,
  learning: "Learning",
};
