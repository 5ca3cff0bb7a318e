//! Image sets, augmentation, and a loader that is reproducible whatever the number of threads.
//!
//! | | |
//! |---|---|
//! | [`cifar10`], [`cifar100`] | read the official binary versions of CIFAR-10 and CIFAR-100 |
//! | [`mnist`], [`idx_files`], [`idx_images`] | read IDX files (MNIST and its family), plain or gzip |
//! | [`cifar_c`], [`Npy`] | read CIFAR-10-C and CIFAR-100-C, and `.npy` files of whole numbers |
//! | [`mnist1d`] | makes MNIST-1D: sequences of 40 numbers, without a download |
//! | [`Corruption`] | makes such corruptions from clean images |
//! | [`Images`] | a labelled set in memory; also a [`Dataset`](burn::data::dataset::Dataset) of burn |
//! | `ImageFolder`, `image_folders` (feature `images`) | a folder of image files for each class, decoded while training |
//! | [`ImageSource`] | what a loader needs to know of its images |
//! | [`Augmentation`] | random crop and flip |
//! | [`Transform`] | random resized crop, flip, RandAugment, colour jitter, resizing |
//! | [`RandomErasing`] | overwrites a part of an image |
//! | [`Mixup`] | mixup and CutMix; with [`smooth_targets`] and [`soft_cross_entropy`] |
//! | [`Normalization`] | mean and standard deviation per channel |
//! | [`balanced`] | a few images of every class |
//! | `Archive` (feature `network`) | fetches CIFAR and CIFAR-C from their authors' servers |
//! | [`Loader`] | shuffled, augmented, normalised batches, made ahead in background threads |
//!
//! What is random depends on the seed, the epoch and the image, never on time or threads, so a run
//! that stopped in the middle of an epoch goes on with [`Loader::epoch`] at the batch it had reached.
//! burn's multi-threaded data loader deals the data out to its workers first, so its order depends on
//! their number; [`Images`] works with it for those who do not mind.
//!
//! ```
//! # #[cfg(feature = "flex")] {
//! use zosam::data::{Images, Loader, LoaderConfig};
//! // Four images of 1 × 2 × 2 pixels; `cifar10("folder")` and `mnist("folder")` read real ones.
//! let train = Images::new("tiny", (0..16).collect(), vec![0, 1, 0, 1], [1, 2, 2], 2)?;
//! let normalization = Some(train.channel_statistics());
//! let loader = Loader::new(train, LoaderConfig { normalization, ..LoaderConfig::evaluation() })?;
//! let device = burn::tensor::Device::flex().autodiff();
//! for epoch in 0..2 {
//!     for batch in loader.epoch(epoch, 0) {
//!         let (images, labels) = batch?.to_tensors(&device);
//!         assert_eq!((images.dims(), labels.dims()), ([4, 1, 2, 2], [4]));
//!     }
//! }
//! # }
//! # Ok::<(), zosam::Error>(())
//! ```

mod augment;
mod balanced;
mod batch;
mod cifar;
mod cifar_c;
mod corrupt;
mod corruption;
#[cfg(feature = "network")]
mod download;
mod epoch;
#[cfg(feature = "images")]
mod folder;
mod idx;
mod images;
mod loader;
mod mnist;
mod mnist1d;
mod normalization;
mod npy;
mod plan;
mod random;
mod source;

pub use augment::{
    AtLevel, Augmentation, ColorJitter, Draw, ErasingMode, Filter, Mix, Mixup, OPERATIONS,
    Operation, Picture, RandAugment, RandomErasing, Rectangle, ResizedCrop, Transform,
    smooth_targets, soft_cross_entropy, transformed,
};
pub use balanced::balanced;
pub use batch::Batch;
pub use cifar::{cifar10, cifar100};
pub use cifar_c::cifar_c;
pub use corrupt::CorruptImages;
pub use corruption::{Corruption, UnknownCorruption};
#[cfg(feature = "network")]
pub use download::Archive;
pub use epoch::Epoch;
#[cfg(feature = "images")]
pub use folder::{Color, ImageFolder, ImageFolderConfig, Sizing, image_folders, read_picture};
pub use idx::Idx;
pub use images::{ImageItem, Images};
pub use loader::{Loader, LoaderConfig};
pub use mnist::{idx_files, idx_images, mnist};
pub use mnist1d::{Mnist1dDraw, Sequence, mnist1d};
pub use normalization::Normalization;
pub use npy::Npy;
pub use source::ImageSource;
