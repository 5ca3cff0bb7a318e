//! A network: its graph, its plan, and the memory of its runs.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rayon::prelude::*;

use super::graph::{Constant, Data, Graph, Id, Kind};
use super::plan::{Action, Plan};
use super::report::NetworkReport;
use super::run::{Input, Memory, Output, Target};
use super::{rewrite, steps};
use crate::error::{Error, Result};

/// A trained network for inference on a CPU; clones share everything.
///
/// ```
/// # #[cfg(all(feature = "compile", feature = "models"))] {
/// # use zosam::masks::Masks;
/// # use zosam::model_file::save_model;
/// use burn::tensor::{Device, Tensor};
/// use zosam::inference::SparseNetwork;
/// use zosam::model_file::load_model;
/// use zosam::models::ResNetConfig;
/// let config = ResNetConfig::resnet32(10).with_depth(8).with_width(4);
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("model.safetensors");
/// # save_model(&path, &config.init(&Device::flex())?, &Masks::dense())?;
/// let (model, _masks) = load_model(&path, config.init(&Device::flex())?)?;
/// let sample = Tensor::<4>::ones([1, 3, 32, 32], &Device::flex());
/// let network = SparseNetwork::compile(&model, sample, |model, images| model.forward(images))?;
/// let images = vec![0.5; 2 * 3 * 32 * 32]; // two, normalised, `[3, 32, 32]` each
/// assert_eq!(network.logits(&images)?.len(), 2 * 10);
/// assert!(network.logits(&images[1..]).is_err());
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct SparseNetwork(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Without the constants that the plan's kernels have taken over.
    graph: Graph,
    plan: Plan,
    /// Memory of runs that are at rest.
    memory: Mutex<Vec<Memory>>,
}

impl SparseNetwork {
    /// Of a graph as it was recorded.
    pub(crate) fn new(mut graph: Graph) -> Result<Self> {
        graph.check().map_err(Error::network)?;
        rewrite::rewrite(&mut graph);
        Self::planned(graph)
    }

    /// Of a graph that has been rewritten.
    pub(super) fn planned(mut graph: Graph) -> Result<Self> {
        graph.check().map_err(Error::network)?;
        let plan = Plan::new(&graph)?;
        for (id, _) in &plan.taken {
            graph.take(*id);
        }
        let memory = Mutex::default();
        Ok(Self(Arc::new(Inner {
            graph,
            plan,
            memory,
        })))
    }

    /// The graph with all its constants, those included that kernels have taken over.
    pub(super) fn graph(&self) -> Graph {
        let Inner { graph, plan, .. } = &*self.0;
        let mut graph = graph.clone();
        for (id, step) in &plan.taken {
            if let Action::Run { kernel, .. } = &plan.steps[*step].action
                && let Some(weight) = kernel.weight()
            {
                let path = graph.taken.remove(id);
                let data = Arc::new(Data::Float(weight));
                graph.constants.insert(*id, Constant { data, path });
            }
        }
        graph
    }

    /// Outputs of all images of some inputs, `[N, …]` each in row-major order.
    ///
    /// The same for any number of threads, and for an image alone or among others.
    ///
    /// # Errors
    ///
    /// If inputs are not those that the network was compiled for, but for the number of images.
    pub fn run(&self, inputs: &[Input<'_>]) -> Result<Vec<Output>> {
        self.0.run(inputs)
    }

    /// Logits `[images, classes]` of normalised images `[images, channels, height, width]`, in
    /// row-major order: the first output for a single input of floats.
    ///
    /// The same for any number of threads, and for an image alone or among others.
    ///
    /// # Errors
    ///
    /// If the numbers are not those of whole images.
    pub fn logits(&self, images: &[f32]) -> Result<Vec<f32>> {
        let mut outputs = self.run(&[Input::Float(images)])?.into_iter();
        let first = outputs.next().and_then(Output::floats);
        first.ok_or_else(|| Error::network("its first output is none of floats"))
    }

    /// What each operation computes with, and what was left to burn.
    ///
    /// ```
    /// # #[cfg(feature = "compile")] {
    /// # use burn::{nn::{Linear, LinearConfig}, tensor::{Device, Tensor}};
    /// # use zosam::inference::{Arithmetic, SparseNetwork};
    /// # let layer = LinearConfig::new(8, 3).init(&Device::flex());
    /// # let sample = Tensor::<2>::ones([1, 8], &Device::flex());
    /// let network = SparseNetwork::compile(&layer, sample, |layer: &Linear, x| layer.forward(x))?;
    /// let report = network.report();
    /// assert_eq!(report.operations[0].path.as_deref(), Some("weight"));
    /// assert_eq!(report.operations[0].arithmetic, Arithmetic::Dense);
    /// println!("{report}");
    /// # }
    /// # Ok::<(), zosam::Error>(())
    /// ```
    pub fn report(&self) -> NetworkReport {
        NetworkReport::new(&self.0.graph, &self.0.plan)
    }

    /// [`report`](Self::report) with the time of each operation for the first image of some inputs,
    /// the fastest of `runs` runs.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn profile(&self, inputs: &[Input<'_>], runs: usize) -> Result<NetworkReport> {
        self.0.profile(inputs, runs)
    }

    /// Number of live weights, those of norms and biases apart. A shortcut that picks every second
    /// pixel and puts empty channels around counts as a convolution of one weight for each channel.
    pub fn live(&self) -> usize {
        self.0.sum(|kernel| kernel.live())
    }

    /// Bytes of weights, biases and of what finds the weights.
    pub fn bytes(&self) -> usize {
        self.0.sum(|kernel| kernel.bytes())
    }
}

impl Inner {
    /// Over kernels, each of which counts once, however many steps it has.
    fn sum(&self, count: impl Fn(&dyn steps::Kernel) -> usize) -> usize {
        let mut seen = HashSet::new();
        let mut total = 0;
        for step in &self.plan.steps {
            if let Action::Run { kernel, .. } = &step.action
                && seen.insert(Arc::as_ptr(kernel).cast::<()>())
            {
                total += count(&**kernel);
            }
        }
        total
    }

    fn run(&self, inputs: &[Input<'_>]) -> Result<Vec<Output>> {
        let images = self.images(inputs)?;
        let each: Vec<usize> = self.graph.inputs.iter().map(|id| self.size(*id)).collect();
        let mut outputs = self.outputs(images);
        let mut targets: Vec<Vec<Target<'_>>> = (0..images).map(|_| Vec::new()).collect();
        for (output, id) in outputs.iter_mut().zip(&self.graph.outputs) {
            let size = self.size(*id).max(1);
            let parts: Vec<Target<'_>> = match output {
                Output::Float(numbers) => numbers.chunks_mut(size).map(Target::Float).collect(),
                Output::Int(numbers) => numbers.chunks_mut(size).map(Target::Int).collect(),
            };
            parts
                .into_iter()
                .zip(&mut targets)
                .for_each(|(part, targets)| targets.push(part));
        }
        targets
            .into_par_iter()
            .enumerate()
            .try_for_each(|(image, mut targets)| {
                let parts = inputs.iter().zip(&each);
                let parts: Vec<Input<'_>> = parts
                    .map(|(input, size)| input.part(image * size..(image + 1) * size))
                    .collect();
                self.run_one(&parts, &mut targets, None)
            })?;
        Ok(outputs)
    }

    fn run_one(
        &self,
        inputs: &[Input<'_>],
        targets: &mut [Target<'_>],
        times: Option<&mut [Duration]>,
    ) -> Result<()> {
        let memory = self.memory.lock().ok().and_then(|mut memory| memory.pop());
        let mut memory = memory.unwrap_or_else(|| Memory::new(&self.plan));
        self.plan.run(&mut memory, inputs, targets, times)?;
        if let Ok(mut all) = self.memory.lock() {
            all.push(memory);
        }
        Ok(())
    }

    fn profile(&self, inputs: &[Input<'_>], runs: usize) -> Result<NetworkReport> {
        if self.images(inputs)? == 0 {
            return Err(Error::network("a profile takes an image"));
        }
        let sizes = self.graph.inputs.iter().map(|id| self.size(*id));
        let one: Vec<Input<'_>> = inputs
            .iter()
            .zip(sizes)
            .map(|(input, size)| input.part(0..size))
            .collect();
        let mut fastest = vec![Duration::MAX; self.plan.steps.len()];
        for _ in 0..runs.max(1) {
            let mut times = vec![Duration::ZERO; fastest.len()];
            let mut outputs = self.outputs(1);
            let mut targets = Vec::new();
            for output in &mut outputs {
                targets.push(match output {
                    Output::Float(numbers) => Target::Float(numbers),
                    Output::Int(numbers) => Target::Int(numbers),
                });
            }
            self.run_one(&one, &mut targets, Some(&mut times))?;
            for (fastest, time) in fastest.iter_mut().zip(times) {
                *fastest = time.min(*fastest);
            }
        }
        Ok(NetworkReport::new(&self.graph, &self.plan).with_times(&self.plan, &fastest))
    }

    /// Outputs of so many images, to be written.
    fn outputs(&self, images: usize) -> Vec<Output> {
        let output = |id: &Id| {
            let count = images * self.size(*id);
            match self.graph.tensors[*id].kind {
                Kind::Float => Output::Float(vec![0.0; count]),
                Kind::Int | Kind::Bool => Output::Int(vec![0; count]),
            }
        };
        self.graph.outputs.iter().map(output).collect()
    }

    fn size(&self, id: Id) -> usize {
        self.graph.tensors[id].count()
    }

    /// The number of images, if inputs are what they should be.
    fn images(&self, inputs: &[Input<'_>]) -> Result<usize> {
        if inputs.len() != self.graph.inputs.len() {
            let (found, expected) = (inputs.len(), self.graph.inputs.len());
            return Err(Error::network(format!(
                "{found} inputs, and it takes {expected}"
            )));
        }
        let mut images = None;
        for (at, (input, &id)) in inputs.iter().zip(&self.graph.inputs).enumerate() {
            let (size, kind) = (self.size(id), self.graph.tensors[id].kind);
            if matches!(input, Input::Float(_)) != (kind == Kind::Float) {
                return Err(Error::network(format!(
                    "input {at} is to hold {kind:?} numbers"
                )));
            }
            let count = match self.graph.is_each {
                true if size > 0 && input.len().is_multiple_of(size) => input.len() / size,
                false if input.len() == size => 1,
                _ => {
                    return Err(Error::Length {
                        what: "an input",
                        found: input.len(),
                        expected: match self.graph.is_each {
                            true => format!("a multiple of {size}"),
                            false => size.to_string(),
                        },
                    });
                }
            };
            if *images.get_or_insert(count) != count {
                return Err(Error::network(format!(
                    "input {at} is of {count} images, and others are not"
                )));
            }
        }
        Ok(images.unwrap_or(1))
    }
}
