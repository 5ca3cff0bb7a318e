//! A linear layer for one example: no lane can be another example, so that a lane is an output.
//!
//! | arithmetic | weights | a vector step |
//! |---|---|---|
//! | sparse | slices of outputs with equally many live weights, as far as they go; what a longer output has left is a tail | one live weight of each output of a slice times the input that it names |
//! | dense | panels of outputs, input after input | one input times a weight of each output |

use rayon::prelude::*;

use super::super::conv::Epilogue;
use super::super::scratch::{Shared, tasks_of};
use super::super::shape::{examples, length};
use super::super::simd::{Instructions, Job, MAX_LANES, Simd};
use crate::error::{Result, check};

/// The most vectors in a panel, which all have but the last: sums that are independent of each
/// other hide how long an addition takes.
const PANEL: usize = 4;

/// A linear layer that computes one example at a time, with its weights packed for that.
///
/// ```
/// use zosam::kernels::{Epilogue, SingleLinear};
///
/// let linear = SingleLinear::sparse(2, 1, &[10.0, 0.0])?; // 2 inputs, 1 output
/// let mut output = [0.0; 1];
/// linear.forward(&[1.0, f32::NAN], Epilogue::default(), &mut output)?;
/// assert_eq!(output, [10.0]);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SingleLinear {
    inputs: usize,
    outputs: usize,
    live: usize,
    instructions: Instructions,
    /// Outputs with a live weight, lane after lane.
    order: Vec<u32>,
    /// The others.
    dead: Vec<u32>,
    weights: Weights,
}

#[derive(Clone, Debug)]
enum Weights {
    Sparse(Slices),
    /// Numbers of a panel: inputs × lanes of the panel, zero behind the last output.
    Dense(Vec<f32>),
}

/// Live weights, a slice of as many outputs as a vector has lanes after the other.
#[derive(Clone, Debug, Default)]
struct Slices {
    /// Where a slice's steps and tail begin, in steps and in tails; one more at the end.
    starts: Vec<[usize; 2]>,
    /// Inputs and weights of the steps: one for each lane.
    sources: Vec<u32>,
    weights: Vec<f32>,
    tails: Vec<Tail>,
}

/// A live weight that not every output of its slice has the like of.
#[derive(Clone, Copy, Debug)]
struct Tail {
    lane: usize,
    source: usize,
    weight: f32,
}

impl SingleLinear {
    /// The most inputs, and the most outputs: vector instructions name inputs by signed numbers of
    /// 32 bits.
    pub const MOST: usize = 1 << 22;

    /// A layer that multiplies with its live weights alone, those that are not zero.
    ///
    /// `weight` is `[outputs, inputs]`.
    ///
    /// # Errors
    /// No inputs or outputs, or a weight of another length.
    pub fn sparse(inputs: usize, outputs: usize, weight: &[f32]) -> Result<Self> {
        Self::with_instructions(inputs, outputs, weight, false, Instructions::detect())
    }

    /// A layer that multiplies with all weights of outputs that have a live one: there a dead weight
    /// times an infinite number is NaN.
    ///
    /// # Errors
    /// As [`sparse`](Self::sparse).
    pub fn dense(inputs: usize, outputs: usize, weight: &[f32]) -> Result<Self> {
        Self::with_instructions(inputs, outputs, weight, true, Instructions::detect())
    }

    /// As [`sparse`](Self::sparse) or [`dense`](Self::dense), on instructions of your choice.
    ///
    /// # Errors
    /// Also if the CPU lacks the instructions.
    pub fn with_instructions(
        inputs: usize,
        outputs: usize,
        weight: &[f32],
        is_dense: bool,
        instructions: Instructions,
    ) -> Result<Self> {
        instructions.check()?;
        for (name, size) in [("inputs", inputs), ("outputs", outputs)] {
            let is_fit = (1..=Self::MOST).contains(&size);
            check(name, size as f64, is_fit, "1 to 4194304")?;
        }
        length("the weight", weight.len(), inputs * outputs)?;
        let row = |output: u32| &weight[output as usize * inputs..][..inputs];
        let count = |output: &u32| row(*output).iter().filter(|w| **w != 0.0).count();
        let (mut order, dead): (Vec<u32>, Vec<u32>) =
            (0..outputs as u32).partition(|output| count(output) > 0);
        let weights = match is_dense {
            true => Weights::Dense(panels(&order, inputs, instructions.lanes(), row)),
            false => {
                // Outputs of a slice should have equally many live weights.
                order.sort_by_key(|output| std::cmp::Reverse(count(output)));
                Weights::Sparse(Slices::new(&order, instructions.lanes(), row))
            }
        };
        Ok(Self {
            inputs,
            outputs,
            live: order.iter().map(count).sum(),
            instructions,
            order,
            dead,
            weights,
        })
    }

    /// `y = bounds(W x + bias + residual)` for example after example, the last three if wanted.
    ///
    /// `input` is `[N, inputs]`, `output` `[N, outputs]`, all of it written.
    ///
    /// # Errors
    /// A slice of the wrong length.
    pub fn forward(&self, input: &[f32], epilogue: Epilogue, output: &mut [f32]) -> Result<()> {
        let count = examples("the input", input, self.inputs)?;
        length(
            "the output",
            output.len(),
            count.saturating_mul(self.outputs),
        )?;
        epilogue.check(self.outputs, output.len())?;
        let (parts, work) = match &self.weights {
            Weights::Sparse(slices) => (slices.starts.len() - 1, self.live),
            Weights::Dense(weights) => (self.order.len().div_ceil(self.panel()), weights.len()),
        };
        let tasks = tasks_of(count * work, count, parts);
        let target = Shared::new(output);
        tasks.into_par_iter().for_each(|(examples, parts)| {
            for example in examples {
                let residual = epilogue.residual;
                let start = example * self.outputs;
                self.instructions.run(One {
                    layer: self,
                    input: &input[example * self.inputs..][..self.inputs],
                    epilogue: Epilogue {
                        residual: residual.map(|residual| &residual[start..]),
                        ..epilogue
                    },
                    parts: parts.clone(),
                    start,
                    target,
                });
            }
        });
        for output in output.chunks_exact_mut(self.outputs).enumerate() {
            let (example, output) = output;
            for dead in self.dead.iter().map(|dead| *dead as usize) {
                let at = example * self.outputs + dead;
                output[dead] = finished(0.0, epilogue, dead, at);
            }
        }
        Ok(())
    }

    /// Outputs in a panel.
    fn panel(&self) -> usize {
        PANEL * self.instructions.lanes()
    }

    /// The numbers of a panel that has so many outputs, by input and lane.
    fn of_panel<'a>(&self, panels: &'a [f32], part: usize) -> std::slice::ChunksExact<'a, f32> {
        let lanes = lanes_of(self.order.len(), part, self.instructions.lanes());
        let numbers = &panels[part * self.panel() * self.inputs..];
        numbers[..lanes * self.inputs].chunks_exact(lanes)
    }

    /// The dense weights, `[outputs, inputs]`.
    pub fn weight(&self) -> Vec<f32> {
        let mut weight = vec![0.0; self.outputs * self.inputs];
        let mut put = |place: usize, input: usize, value: f32| {
            weight[self.order[place] as usize * self.inputs + input] = value;
        };
        match &self.weights {
            Weights::Dense(panels) => {
                let panel = self.panel();
                for place in 0..self.order.len() {
                    let inputs = self.of_panel(panels, place / panel);
                    inputs
                        .enumerate()
                        .for_each(|(input, lanes)| put(place, input, lanes[place % panel]));
                }
            }
            Weights::Sparse(slices) => {
                let lanes = self.instructions.lanes();
                for (slice, ends) in slices.starts.windows(2).enumerate() {
                    let here = lanes.min(self.order.len() - slice * lanes);
                    for step in ends[0][0]..ends[1][0] {
                        for lane in 0..here {
                            let at = step * lanes + lane;
                            let source = slices.sources[at] as usize;
                            put(slice * lanes + lane, source, slices.weights[at]);
                        }
                    }
                    for tail in &slices.tails[ends[0][1]..ends[1][1]] {
                        put(slice * lanes + tail.lane, tail.source, tail.weight);
                    }
                }
            }
        }
        weight
    }

    /// Number of live weights.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Whether it multiplies with dead weights, too.
    pub fn is_dense(&self) -> bool {
        matches!(self.weights, Weights::Dense(_))
    }

    /// Bytes of weights and of what places them.
    pub fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Dense(panels) => size_of_val(&panels[..]),
            Weights::Sparse(slices) => {
                size_of_val(&slices.sources[..])
                    + size_of_val(&slices.weights[..])
                    + size_of_val(&slices.tails[..])
            }
        }
    }
}

fn panels<'a>(
    order: &[u32],
    inputs: usize,
    lanes: usize,
    row: impl Fn(u32) -> &'a [f32],
) -> Vec<f32> {
    let panel = PANEL * lanes;
    let mut numbers = vec![0.0; order.len().next_multiple_of(lanes) * inputs];
    for (place, output) in order.iter().enumerate() {
        let width = lanes_of(order.len(), place / panel, lanes);
        let numbers = &mut numbers[place / panel * panel * inputs..];
        for (input, weight) in row(*output).iter().enumerate() {
            numbers[input * width + place % panel] = *weight;
        }
    }
    numbers
}

/// Lanes of a panel: whole vectors, as many as its outputs need.
fn lanes_of(outputs: usize, part: usize, lanes: usize) -> usize {
    let panel = PANEL * lanes;
    (outputs - part * panel).min(panel).next_multiple_of(lanes)
}

impl Slices {
    fn new<'a>(order: &[u32], lanes: usize, row: impl Fn(u32) -> &'a [f32]) -> Self {
        let mut slices = Self::default();
        slices.starts.push([0, 0]);
        for outputs in order.chunks(lanes) {
            let rows: Vec<Vec<(u32, f32)>> = outputs
                .iter()
                .map(|output| {
                    let weights = row(*output).iter().zip(0u32..);
                    let live = weights.filter(|(weight, _)| **weight != 0.0);
                    live.map(|(weight, input)| (input, *weight)).collect()
                })
                .collect();
            let steps = rows.iter().map(Vec::len).min().unwrap_or(0);
            for step in 0..steps {
                for lane in 0..lanes {
                    // Lanes without an output do what the first one does.
                    let (source, weight) = rows.get(lane).unwrap_or(&rows[0])[step];
                    slices.sources.push(source);
                    slices.weights.push(weight);
                }
            }
            for (lane, row) in rows.iter().enumerate() {
                let tail = row[steps..].iter().map(|(source, weight)| Tail {
                    lane,
                    source: *source as usize,
                    weight: *weight,
                });
                slices.tails.extend(tail);
            }
            let ends = [slices.weights.len() / lanes, slices.tails.len()];
            slices.starts.push(ends);
        }
        slices
    }
}

fn finished(sum: f32, epilogue: Epilogue, output: usize, at: usize) -> f32 {
    let bias = epilogue.bias.map_or(0.0, |bias| bias[output]);
    let residual = epilogue.residual.map_or(0.0, |residual| residual[at]);
    epilogue.bounds.of(sum + bias + residual)
}

/// Some slices or panels of one example.
struct One<'a> {
    layer: &'a SingleLinear,
    input: &'a [f32],
    /// Its residual begins with this example.
    epilogue: Epilogue<'a>,
    parts: std::ops::Range<usize>,
    /// Where the example's outputs begin.
    start: usize,
    target: Shared,
}

impl Job for One<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut sums = [0.0; PANEL * MAX_LANES];
        for part in self.parts.clone() {
            let outputs = match &self.layer.weights {
                Weights::Sparse(slices) => {
                    // SAFETY: `part` is a slice, the input has all that its sources name, which
                    // are below `inputs`; the caller vouches for the instructions.
                    unsafe { slice::<S>(slices, part, self.input, &mut sums) };
                    S::LANES
                }
                Weights::Dense(panels) => {
                    let at = part * PANEL * S::LANES;
                    let vectors = (self.layer.order.len() - at).div_ceil(S::LANES).min(PANEL);
                    let panel = &panels[at * self.input.len()..];
                    let panel = &panel[..vectors * S::LANES * self.input.len()];
                    // SAFETY: a panel has so many vectors for each input; as above.
                    unsafe {
                        match vectors {
                            1 => dense::<S, 1>(panel, self.input, &mut sums),
                            2 => dense::<S, 2>(panel, self.input, &mut sums),
                            3 => dense::<S, 3>(panel, self.input, &mut sums),
                            _ => dense::<S, PANEL>(panel, self.input, &mut sums),
                        }
                    }
                    PANEL * S::LANES
                }
            };
            let order = &self.layer.order[part * outputs..];
            for (output, sum) in order.iter().zip(&sums[..outputs]) {
                let output = *output as usize;
                let sum = finished(*sum, self.epilogue, output, output);
                // SAFETY: `output` is one of the example's, and no other part has it.
                unsafe { self.target.pointer().add(self.start + output).write(sum) };
            }
        }
    }
}

/// # Safety
/// `part` is one of the slices, which are of `S::LANES` outputs; `input` has a number for every
/// source; the CPU has the instructions of `S`.
#[inline(always)]
unsafe fn slice<S: Simd>(
    slices: &Slices,
    part: usize,
    input: &[f32],
    sums: &mut [f32; PANEL * MAX_LANES],
) {
    let [from, to] = [slices.starts[part], slices.starts[part + 1]];
    // SAFETY: a step has LANES sources and weights; `sums` holds a vector.
    unsafe {
        let mut sum = S::splat(0.0);
        let (sources, weights) = (slices.sources.as_ptr(), slices.weights.as_ptr());
        for step in from[0]..to[0] {
            let found = S::gather(input.as_ptr(), sources.add(step * S::LANES));
            sum = S::multiply_add(S::load(weights.add(step * S::LANES)), found, sum);
        }
        S::store(sums.as_mut_ptr(), sum);
    }
    for tail in &slices.tails[from[1]..to[1]] {
        sums[tail.lane] += tail.weight * input[tail.source];
    }
}

/// # Safety
/// `panel` has `V` vectors for each input, at most `PANEL`; the CPU has the instructions of `S`.
#[inline(always)]
unsafe fn dense<S: Simd, const V: usize>(
    panel: &[f32],
    input: &[f32],
    sums: &mut [f32; PANEL * MAX_LANES],
) {
    // SAFETY: the caller's panel; `sums` holds PANEL vectors.
    unsafe {
        // Inputs with even and odd numbers add up apart, so that twice as many sums are in flight.
        let mut even = [S::splat(0.0); V];
        let mut odd = even;
        let step = V * S::LANES;
        for (pair, inputs) in input.chunks(2).enumerate() {
            let at = panel.as_ptr().add(2 * pair * step);
            for (which, (input, sums)) in inputs.iter().zip([&mut even, &mut odd]).enumerate() {
                let input = S::splat(*input);
                for (vector, sum) in sums.iter_mut().enumerate() {
                    let weight = S::load(at.add(which * step + vector * S::LANES));
                    *sum = S::multiply_add(weight, input, *sum);
                }
            }
        }
        for vector in 0..V {
            let sum = S::add(even[vector], odd[vector]);
            S::store(sums.as_mut_ptr().add(vector * S::LANES), sum);
        }
    }
}
