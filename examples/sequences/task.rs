//! What is learnt: the class of a sequence.

use std::marker::PhantomData;

use anyhow::{Context, Result};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use zosam::Sparsity;
use zosam::data::{Sequence, mnist1d};
use zosam::sparse::Classification;

use crate::fit::{Scores, Task};
use crate::networks::Network;
use crate::options::Options;

/// The sequences, the same for all runs, and a kind of network.
pub struct Sequences<N> {
    train: Vec<Sequence>,
    test: Vec<Sequence>,
    width: usize,
    network: PhantomData<N>,
}

type Batch = (Tensor<2>, Tensor<1, Int>);

impl<N: Network> Sequences<N> {
    pub fn new(options: &Options) -> Result<Self> {
        let [train, test] = mnist1d(options.samples, options.data_seed).context("--samples")?;
        Ok(Self {
            train,
            test,
            width: options.width.get(),
            network: PhantomData,
        })
    }
}

impl<N: Network> Task for Sequences<N> {
    type Model = N;
    type Batch = Batch;

    fn samples(&self) -> usize {
        self.train.len()
    }

    fn model(&self, device: &Device) -> N {
        N::new(self.width, device)
    }

    fn batch(&self, chosen: &[usize], device: &Device) -> Batch {
        tensors(chosen.iter().map(|index| &self.train[*index]), device)
    }

    fn losses(model: &N, (sequences, labels): &Batch) -> Tensor<1> {
        cross_entropies(model.logits(sequences.clone()), labels)
    }

    fn attach(sparsity: &mut Sparsity, model: N, batch: Batch) -> Result<N> {
        let evidence = Classification::new([batch], N::logits);
        Ok(sparsity.attach_on(model, &evidence)?)
    }

    fn test(&self, model: &N, sparsity: &Sparsity, device: &Device) -> Scores {
        let (sequences, labels) = tensors(self.test.iter(), device);
        let logits = sparsity.run(|| model.logits(sequences));
        let losses = cross_entropies(logits.clone(), &labels);
        let hits = logits.argmax(1).flatten::<1>(0, 1).equal(labels);
        let hits = hits.int().sum().into_scalar::<i64>() as f64;
        let loss = f64::from(losses.mean().into_scalar::<f32>());
        let accuracy = hits / self.test.len() as f64;
        Scores::from([("test_loss", loss), ("test_accuracy", accuracy)])
    }
}

/// The loss of each sequence.
fn cross_entropies(logits: Tensor<2>, labels: &Tensor<1, Int>) -> Tensor<1> {
    let picked = log_softmax(logits, 1).gather(1, labels.clone().unsqueeze_dim(1));
    picked.neg().flatten(0, 1)
}

fn tensors<'s>(sequences: impl Iterator<Item = &'s Sequence>, device: &Device) -> Batch {
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for sequence in sequences {
        values.extend_from_slice(&sequence.values);
        labels.push(sequence.label as i64);
    }
    let shape = [labels.len(), values.len() / labels.len()];
    let values = Tensor::from_data(TensorData::new(values, shape), device);
    (values, Tensor::from_ints(labels.as_slice(), device))
}
