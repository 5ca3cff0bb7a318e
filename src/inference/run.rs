//! Runs of a plan, each in memory of its own.

use std::time::{Duration, Instant};

use super::graph::Data;
use super::interpreter::Interpreter;
use super::plan::{Action, Place, Plan, Region};
use crate::error::{Error, Result};

/// Numbers of an input, `[N, …]` in row-major order.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Floats.
    Float(&'a [f32]),
    /// Whole numbers, or truth values as 0 and 1.
    Int(&'a [i32]),
}

impl<'a> From<&'a [f32]> for Input<'a> {
    fn from(numbers: &'a [f32]) -> Self {
        Self::Float(numbers)
    }
}

impl<'a> From<&'a [i32]> for Input<'a> {
    fn from(numbers: &'a [i32]) -> Self {
        Self::Int(numbers)
    }
}

impl<'a> From<&'a Vec<f32>> for Input<'a> {
    fn from(numbers: &'a Vec<f32>) -> Self {
        Self::Float(numbers)
    }
}

impl<'a> From<&'a Vec<i32>> for Input<'a> {
    fn from(numbers: &'a Vec<i32>) -> Self {
        Self::Int(numbers)
    }
}

impl<'a> Input<'a> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Float(numbers) => numbers.len(),
            Self::Int(numbers) => numbers.len(),
        }
    }

    pub(super) fn part(&self, range: std::ops::Range<usize>) -> Self {
        match self {
            Self::Float(numbers) => Self::Float(&numbers[range]),
            Self::Int(numbers) => Self::Int(&numbers[range]),
        }
    }
}

/// Numbers of an output, `[N, …]` in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Floats.
    Float(Vec<f32>),
    /// Whole numbers, or truth values as 0 and 1.
    Int(Vec<i32>),
}

impl Output {
    /// The floats, if it holds some.
    pub fn floats(self) -> Option<Vec<f32>> {
        match self {
            Self::Float(numbers) => Some(numbers),
            Self::Int(_) => None,
        }
    }

    /// The whole numbers, if it holds some.
    pub fn ints(self) -> Option<Vec<i32>> {
        match self {
            Self::Float(_) => None,
            Self::Int(numbers) => Some(numbers),
        }
    }
}

/// Where an image's part of an output goes.
pub(super) enum Target<'a> {
    Float(&'a mut [f32]),
    Int(&'a mut [i32]),
}

/// What a run writes, kept from run to run.
#[derive(Debug)]
pub(super) struct Memory {
    buffers: Vec<Buffer>,
    interpreter: Option<Interpreter>,
}

impl Memory {
    pub fn new(plan: &Plan) -> Self {
        Self {
            buffers: plan
                .buffers
                .sizes
                .iter()
                .map(|length| Buffer::new(*length))
                .collect(),
            interpreter: plan.program.interpreter(),
        }
    }
}

/// Numbers that begin at a cache line, so that vectors of images in pieces never cross one.
#[derive(Debug, Default)]
struct Buffer {
    memory: Vec<f32>,
    first: usize,
}

impl Buffer {
    fn new(length: usize) -> Self {
        const LINE: usize = 64;
        let memory = vec![0.0; length + LINE / size_of::<f32>()];
        // Where the place cannot be told, any will do: it only costs time.
        let first = memory
            .as_ptr()
            .align_offset(LINE)
            .min(LINE / size_of::<f32>());
        Self { memory, first }
    }

    fn numbers(&self) -> &[f32] {
        &self.memory[self.first..]
    }

    fn numbers_mut(&mut self) -> &mut [f32] {
        &mut self.memory[self.first..]
    }
}

/// What a step reads.
pub(crate) struct Sources<'a> {
    regions: &'a [Region],
    places: &'a [Place],
    buffers: &'a [Buffer],
    inputs: &'a [Input<'a>],
}

impl<'a> Sources<'a> {
    pub fn len(&self) -> usize {
        self.regions.len()
    }

    /// The floats of a region; none if it has others.
    pub fn floats(&self, at: usize) -> &'a [f32] {
        let Region {
            slot,
            offset,
            length,
        } = self.regions[at];
        let all: &[f32] = match &self.places[slot] {
            Place::Buffer(buffer) => self.buffers[*buffer].numbers(),
            Place::Input(input) => match self.inputs[*input] {
                Input::Float(numbers) => numbers,
                Input::Int(_) => &[],
            },
            Place::Constant(data) => match &**data {
                Data::Float(numbers) => numbers,
                Data::Int(_) => &[],
            },
            Place::Nowhere => &[],
        };
        &all[offset..offset + length]
    }

    /// The whole numbers of a region; none if it has others.
    pub fn ints(&self, at: usize) -> &'a [i32] {
        let Region {
            slot,
            offset,
            length,
        } = self.regions[at];
        let all: &[i32] = match &self.places[slot] {
            Place::Buffer(_) | Place::Nowhere => &[],
            Place::Input(input) => match self.inputs[*input] {
                Input::Int(numbers) => numbers,
                Input::Float(_) => &[],
            },
            Place::Constant(data) => match &**data {
                Data::Int(numbers) => numbers,
                Data::Float(_) => &[],
            },
        };
        &all[offset..offset + length]
    }
}

impl Plan {
    /// Runs one image. Inputs and targets have the sizes and types of the graph's.
    pub(super) fn run(
        &self,
        memory: &mut Memory,
        inputs: &[Input<'_>],
        targets: &mut [Target<'_>],
        mut times: Option<&mut [Duration]>,
    ) -> Result<()> {
        for (at, step) in self.steps.iter().enumerate() {
            let start = times.as_ref().map(|_| Instant::now());
            self.step(&step.action, memory, inputs)?;
            if let Some((times, start)) = times.as_mut().zip(start) {
                times[at] += start.elapsed();
            }
        }
        for (output, target) in self.outputs.iter().zip(targets) {
            let Memory {
                buffers,
                interpreter,
            } = memory;
            let (region, given) = output;
            let sources = Sources {
                regions: std::slice::from_ref(region),
                places: &self.buffers.places,
                buffers,
                inputs,
            };
            match (target, given) {
                (Target::Float(to), None) => to.copy_from_slice(sources.floats(0)),
                (Target::Int(to), None) => to.copy_from_slice(sources.ints(0)),
                (target, Some(id)) => {
                    let interpreter = interpreter.as_mut().ok_or_else(missing)?;
                    self.program.output(interpreter, *id, target)?;
                }
            }
        }
        Ok(())
    }

    fn step(&self, action: &Action, memory: &mut Memory, inputs: &[Input<'_>]) -> Result<()> {
        let (to, regions): (_, &[Region]) = match action {
            Action::Run { from, to, .. } => (Some(*to), from),
            Action::Get { to, .. } => (Some(*to), &[]),
            Action::Give { from, .. } => (None, std::slice::from_ref(from)),
            Action::Operate(_) => (None, &[]),
        };
        let Memory {
            buffers,
            interpreter,
        } = memory;
        // The target's memory is set aside, so that steps read the other buffers.
        let place = to.map(|slot| &self.buffers.places[slot]);
        let buffer = match place {
            Some(Place::Buffer(buffer)) => Some(*buffer),
            _ => None,
        };
        let mut target = buffer.map(|buffer| std::mem::take(&mut buffers[buffer]));
        let length = to.map_or(0, |slot| self.buffers.lengths[slot]);
        let output = target
            .as_mut()
            .map_or(&mut [][..], |target| &mut target.numbers_mut()[..length]);
        if cfg!(debug_assertions) {
            // A step that leaves a number unwritten shows itself.
            output.fill(f32::NAN);
        }
        let sources = Sources {
            regions,
            places: &self.buffers.places,
            buffers,
            inputs,
        };
        match action {
            Action::Run { kernel, .. } => kernel.run(&sources, output)?,
            Action::Give { id, .. } => {
                let interpreter = interpreter.as_mut().ok_or_else(missing)?;
                self.program.give(interpreter, *id, &sources)?;
            }
            Action::Operate(index) => {
                let interpreter = interpreter.as_mut().ok_or_else(missing)?;
                self.program.operate(interpreter, *index)?;
            }
            Action::Get { id, .. } => {
                let interpreter = interpreter.as_mut().ok_or_else(missing)?;
                self.program
                    .output(interpreter, *id, &mut Target::Float(output))?;
            }
        }
        if let Some((buffer, target)) = buffer.zip(target) {
            buffers[buffer] = target;
        }
        Ok(())
    }
}

fn missing() -> Error {
    Error::network(
        "an operation is burn's, and this build has no interpreter: build with the feature `interpreter`",
    )
}
