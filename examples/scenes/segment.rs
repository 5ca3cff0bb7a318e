//! What is learnt: the class of each pixel.

use anyhow::Result;
use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use zosam::Sparsity;
use zosam::sparse::Classification;

use crate::data::{AT_ONCE, Data, LEVELS, images};
use crate::fit::{Finished, Scores, Task};
use crate::mean_iou::Confusion;
use crate::networks::{CLASSES, Segmenter};
use crate::picture;
use crate::scene::{SIDE, Scene};

/// Segmentation of scenes.
pub struct Segment(pub Data);

impl Task for Segment {
    type Model = Segmenter;
    type Batch = (Tensor<4>, Tensor<3, Int>);

    fn samples(&self) -> usize {
        self.0.train.len()
    }

    fn model(&self, device: &Device) -> Segmenter {
        Segmenter::new(self.0.width, LEVELS, device)
    }

    fn batch(&self, chosen: &[usize], device: &Device) -> Self::Batch {
        let scenes = self.0.chosen(chosen);
        (images(&scenes, device), masks(&scenes, device))
    }

    fn losses(model: &Segmenter, (images, masks): &Self::Batch) -> Tensor<1> {
        model.losses(images.clone(), masks.clone())
    }

    /// To a method that scores weights each pixel is something to classify.
    fn attach(sparsity: &mut Sparsity, model: Segmenter, batch: Self::Batch) -> Result<Segmenter> {
        let (images, masks) = batch;
        let logits = |model: &Segmenter, images: Tensor<4>| {
            let logits = model.logits(images).permute([0, 2, 3, 1]);
            logits.flatten::<2>(0, 2)
        };
        let evidence = Classification::new([(images, masks.flatten::<1>(0, 2))], logits);
        Ok(sparsity.attach_on(model, &evidence)?)
    }

    fn test(&self, model: &Segmenter, sparsity: &Sparsity, device: &Device) -> Scores {
        let mut confusion = Confusion::new(CLASSES + 1);
        let mut loss = 0.0;
        for scenes in self.0.test.chunks(AT_ONCE) {
            let scenes: Vec<&Scene> = scenes.iter().collect();
            let images = images(&scenes, device);
            let logits = sparsity.run(|| model.logits(images));
            for (scene, found) in scenes.iter().zip(classes(&logits)) {
                confusion.count(&scene.mask, &found);
            }
            let losses = Segmenter::losses_of(logits, masks(&scenes, device));
            loss += f64::from(losses.sum().into_scalar::<f32>());
        }
        Scores::from([
            ("test_loss", loss / self.0.test.len() as f64),
            ("test_miou", confusion.mean_iou()),
            ("test_pixel_accuracy", confusion.accuracy()),
        ])
    }

    fn finished(&self, run: &Finished<Segmenter>) -> Result<()> {
        self.0.keep(run, |scenes| {
            let model = run.model.valid();
            let device = run.device.clone().without_autodiff();
            let all: Vec<&Scene> = scenes.iter().collect();
            let images = images(&all, &device);
            let found = classes(&run.sparsity.run(|| model.logits(images)));
            let right = scenes.iter();
            let pairs = scenes.iter().zip(&found);
            [
                right
                    .map(|scene| picture::coloured(scene, &scene.mask))
                    .collect(),
                pairs
                    .map(|(scene, mask)| picture::coloured(scene, mask))
                    .collect(),
            ]
        })
    }
}

/// The likeliest class of each pixel, as a mask for each scene.
fn classes(logits: &Tensor<4>) -> Vec<Vec<u8>> {
    let classes = logits.clone().argmax(1).into_data();
    let classes: Vec<u8> = classes.iter::<i64>().map(|class| class as u8).collect();
    classes.chunks(SIDE * SIDE).map(<[u8]>::to_vec).collect()
}

fn masks(scenes: &[&Scene], device: &Device) -> Tensor<3, Int> {
    let classes = scenes.iter().flat_map(|scene| scene.mask.iter());
    let classes: Vec<i64> = classes.map(|class| i64::from(*class)).collect();
    Tensor::from_data(TensorData::new(classes, [scenes.len(), SIDE, SIDE]), device)
}
