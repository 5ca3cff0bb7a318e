//! What is random in the training images.

use serde::{Deserialize, Serialize};
use zosam::data::{
    Augmentation, LoaderConfig, Mixup, RandAugment, RandomErasing, ResizedCrop, Transform,
};

use super::args::{AugmentArgs, AugmentName, DatasetName};

/// Augmentation and targets, as config.json holds them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Augmented {
    crop_flip: Augmentation,
    transforms: Vec<Transform>,
    erasing: Option<RandomErasing>,
    mixup: Option<Mixup>,
    label_smoothing: f64,
    repeats: usize,
}

impl Augmented {
    /// What the options say, for images of a height and width.
    pub fn new(args: &AugmentArgs, dataset: DatasetName, size: [usize; 2]) -> Self {
        let crop_flip = match args.augment {
            AugmentName::CropFlip => Augmentation::default(),
            AugmentName::None | AugmentName::Deit => Augmentation::none(),
        };
        let transforms = match args.augment {
            AugmentName::Deit => vec![
                Transform::ResizedCrop(ResizedCrop {
                    size: (dataset == DatasetName::Folder).then_some(size),
                    ..ResizedCrop::default()
                }),
                Transform::Flip { probability: 0.5 },
                Transform::RandAugment(RandAugment {
                    fill: match dataset {
                        // ImageNet's mean colour, as timm's recipe for DeiT; of other sets timm takes their own.
                        DatasetName::Folder => vec![124, 116, 104],
                        _ => RandAugment::default().fill,
                    },
                    ..RandAugment::default()
                }),
            ],
            AugmentName::None | AugmentName::CropFlip => Vec::new(),
        };
        let erasing = RandomErasing {
            probability: args.random_erasing,
            ..RandomErasing::default()
        };
        let mixup = Mixup {
            mixup_alpha: args.mixup,
            cutmix_alpha: args.cutmix,
            ..Mixup::default()
        };
        Self {
            crop_flip,
            transforms,
            erasing: (args.random_erasing != 0.0).then_some(erasing),
            mixup: (args.mixup != 0.0 || args.cutmix != 0.0).then_some(mixup),
            label_smoothing: args.label_smoothing,
            repeats: args.repeats,
        }
    }

    /// A loader's configuration with it.
    pub fn of(self, loader: LoaderConfig) -> LoaderConfig {
        LoaderConfig {
            augmentation: self.crop_flip,
            transforms: self.transforms,
            erasing: self.erasing,
            mixup: self.mixup,
            label_smoothing: self.label_smoothing,
            repeats: self.repeats,
            ..loader
        }
    }
}
