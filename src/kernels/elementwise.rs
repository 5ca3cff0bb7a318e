//! Functions of single numbers, and of pairs of them, on slices: loops that compilers turn into
//! vector instructions.

use serde::{Deserialize, Serialize};

use super::activation::{erf, exp, tanh};
use super::scratch::Scratch;
use super::simd::{Instructions, Job, Simd};
use super::strided::Axes;

/// A function of one number. Names are the field's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Unary {
    /// NaN stays.
    Relu,
    /// `x Φ(x)`, `Φ` the normal distribution function.
    Gelu,
    Sigmoid,
    Tanh,
    Erf,
    Exp,
    Log,
    Sqrt,
    Reciprocal,
    Absolute,
    /// `min(max(alpha x + beta, 0), 1)`.
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    /// `slope x` of what is negative.
    LeakyRelu {
        slope: f32,
    },
    /// `factor x + summand`.
    Affine {
        factor: f32,
        summand: f32,
    },
    /// NaN stays.
    Clamp {
        least: Option<f32>,
        most: Option<f32>,
    },
    Power {
        exponent: f32,
    },
}

impl Unary {
    /// Whether the function of 0 is 0.
    pub(crate) fn keeps_zero(self) -> bool {
        match self {
            Self::Relu | Self::Gelu | Self::Tanh | Self::Erf | Self::Sqrt => true,
            Self::Absolute | Self::LeakyRelu { .. } => true,
            Self::Sigmoid | Self::Exp | Self::Log | Self::Reciprocal => false,
            Self::HardSigmoid { beta, .. } => beta <= 0.0,
            Self::Affine { factor, summand } => summand == 0.0 && factor.is_finite(),
            Self::Clamp { least, most } => {
                least.is_none_or(|least| least <= 0.0) && most.is_none_or(|most| most >= 0.0)
            }
            Self::Power { exponent } => exponent > 0.0,
        }
    }
}

/// A function of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// A step of a program: its operands are numbers of the inputs, then of the instructions before it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Instruction {
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
}

impl Instruction {
    pub(crate) fn operands(self) -> impl Iterator<Item = usize> {
        let pair = match self {
            Self::Unary(_, a) => [Some(a), None],
            Self::Binary(_, a, b) => [Some(a), Some(b)],
        };
        pair.into_iter().flatten()
    }
}

/// Whether a program makes 0 of zeros.
pub(crate) fn keeps_zero(program: &[Instruction], inputs: usize) -> bool {
    let mut zero = vec![true; inputs];
    for instruction in program {
        zero.push(match *instruction {
            Instruction::Unary(function, a) => zero[a] && function.keeps_zero(),
            Instruction::Binary(Binary::Multiply, a, b) => zero[a] && zero[b],
            Instruction::Binary(Binary::Divide, ..) => false,
            Instruction::Binary(_, a, b) => zero[a] && zero[b],
        });
    }
    zero.last().copied().unwrap_or(true)
}

/// Numbers that a program takes at a time: what it writes in between stays in the first cache.
const BLOCK: usize = 512;

/// Runs a program on slices of one length.
///
/// # Panics
/// If lengths differ, or an instruction names an operand that is not before it.
pub(crate) fn run(program: &[Instruction], inputs: &[&[f32]], output: &mut [f32]) {
    assert!(
        inputs.iter().all(|input| input.len() == output.len()),
        "one length"
    );
    Instructions::detect().run(Run {
        program,
        inputs,
        output,
    });
}

struct Run<'a> {
    program: &'a [Instruction],
    inputs: &'a [&'a [f32]],
    output: &'a mut [f32],
}

impl Job for Run<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Some((last, before)) = self.program.split_last() else {
            return;
        };
        let length = BLOCK.min(self.output.len());
        let (mut scratch, ranges) = Scratch::take([before.len() * length]);
        let [done] = scratch.arrays(ranges);
        for (index, output) in self.output.chunks_mut(length.max(1)).enumerate() {
            let (start, count) = (index * length, output.len());
            for (step, instruction) in before.iter().enumerate() {
                let (done, rest) = done.split_at_mut(step * length);
                let operand = |at: usize| match self.inputs.get(at) {
                    Some(input) => &input[start..start + count],
                    None => &done[(at - self.inputs.len()) * length..][..count],
                };
                apply(*instruction, operand, &mut rest[..count]);
            }
            let operand = |at: usize| match self.inputs.get(at) {
                Some(input) => &input[start..start + count],
                None => &done[(at - self.inputs.len()) * length..][..count],
            };
            apply(*last, operand, output);
        }
    }
}

#[inline(always)]
fn apply<'a>(instruction: Instruction, operand: impl Fn(usize) -> &'a [f32], to: &mut [f32]) {
    match instruction {
        Instruction::Unary(function, a) => unary(function, operand(a), to),
        Instruction::Binary(function, a, b) => {
            pairs(function, (operand(a), 1), (operand(b), 1), to)
        }
    }
}

#[inline(always)]
fn unary(function: Unary, from: &[f32], to: &mut [f32]) {
    macro_rules! each {
        ($function:expr) => {
            for (to, &from) in to.iter_mut().zip(from) {
                *to = $function(from);
            }
        };
    }
    match function {
        Unary::Relu => each!(|x: f32| if x < 0.0 { 0.0 } else { x }),
        Unary::Gelu => each!(super::activation::gelu),
        Unary::Sigmoid => each!(|x: f32| {
            let small = exp(-x.abs());
            let larger = 1.0 / (1.0 + small);
            if x < 0.0 { small * larger } else { larger }
        }),
        Unary::Tanh => each!(tanh),
        Unary::Erf => each!(erf),
        Unary::Exp => each!(exp),
        Unary::Log => each!(f32::ln),
        Unary::Sqrt => each!(f32::sqrt),
        Unary::Reciprocal => each!(|x: f32| 1.0 / x),
        Unary::Absolute => each!(f32::abs),
        Unary::HardSigmoid { alpha, beta } => each!(|x: f32| clamped(alpha * x + beta, 0.0, 1.0)),
        Unary::LeakyRelu { slope } => each!(|x: f32| if x < 0.0 { slope * x } else { x }),
        Unary::Affine { factor, summand } => each!(|x: f32| factor * x + summand),
        Unary::Clamp { least, most } => {
            let least = least.unwrap_or(f32::NEG_INFINITY);
            let most = most.unwrap_or(f32::INFINITY);
            each!(|x: f32| clamped(x, least, most));
        }
        Unary::Power { exponent: 2.0 } => each!(|x: f32| x * x),
        Unary::Power { exponent: 3.0 } => each!(|x: f32| x * x * x),
        Unary::Power { exponent } => each!(|x: f32| x.powf(exponent)),
    }
}

/// Comparisons, because `min` and `max` would drop NaN.
#[inline(always)]
fn clamped(x: f32, least: f32, most: f32) -> f32 {
    let x = if x < least { least } else { x };
    if x > most { most } else { x }
}

/// A function of pairs at any strides, into a slice without gaps.
#[inline(always)]
fn pairs(function: Binary, a: (&[f32], usize), b: (&[f32], usize), to: &mut [f32]) {
    match function {
        Binary::Add => zip(|a, b| a + b, a, b, to),
        Binary::Subtract => zip(|a, b| a - b, a, b, to),
        Binary::Multiply => zip(|a, b| a * b, a, b, to),
        Binary::Divide => zip(|a, b| a / b, a, b, to),
    }
}

#[inline(always)]
fn zip(
    function: impl Fn(f32, f32) -> f32,
    (a, a_step): (&[f32], usize),
    (b, b_step): (&[f32], usize),
    to: &mut [f32],
) {
    match (a_step, b_step) {
        (1, 1) => {
            for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
                *to = function(*a, *b);
            }
        }
        (1, 0) => {
            let b = b[0];
            to.iter_mut()
                .zip(a)
                .for_each(|(to, a)| *to = function(*a, b));
        }
        (0, 1) => {
            let a = a[0];
            to.iter_mut()
                .zip(b)
                .for_each(|(to, b)| *to = function(a, *b));
        }
        _ => {
            for (at, to) in to.iter_mut().enumerate() {
                *to = function(a[at * a_step], b[at * b_step]);
            }
        }
    }
}

/// A function of pairs of elements of two arrays, into a third; the strides are those of all three.
///
/// # Panics
/// If an element lies outside of its slice.
pub(crate) fn broadcast(function: Binary, axes: &Axes<3>, from: [&[f32]; 2], to: &mut [f32]) {
    Instructions::detect().run(Broadcast {
        function,
        axes,
        from,
        to,
    });
}

struct Broadcast<'a> {
    function: Binary,
    axes: &'a Axes<3>,
    from: [&'a [f32]; 2],
    to: &'a mut [f32],
}

impl Job for Broadcast<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self {
            function,
            axes,
            from: [a, b],
            to,
        } = self;
        let inner = axes.nearest(2);
        let (outer, (count, [a_step, b_step, step])) = axes.clone().split(inner);
        outer.each(|[a_at, b_at, at]| match step {
            1 => pairs(
                function,
                (&a[a_at..], a_step),
                (&b[b_at..], b_step),
                &mut to[at..at + count],
            ),
            _ => {
                for index in 0..count {
                    let (a, b) = (&a[a_at + index * a_step..], &b[b_at + index * b_step..]);
                    pairs(function, (a, 0), (b, 1), &mut to[at + index * step..][..1]);
                }
            }
        });
    }
}
