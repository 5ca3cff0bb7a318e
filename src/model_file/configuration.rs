//! From a configuration in a file to a model.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;

/// A configuration that makes a model: what a file keeps of it, so that [`load`](super::load) needs
/// nothing else.
///
/// All bundled networks have one; yours takes three lines:
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::module::Module;
/// use burn::nn::{Linear, LinearConfig};
/// use burn::tensor::Device;
/// use serde::{Deserialize, Serialize};
/// use zosam::masks::Masks;
/// use zosam::model_file::{Card, Configuration, SaveOptions, load};
///
/// #[derive(Module, Debug)]
/// struct Net {
///     output: Linear,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct NetConfig {
///     inputs: usize,
/// }
///
/// impl Configuration for NetConfig {
///     const FAMILY: &'static str = "my-net";
///     type Model = Net;
///
///     fn init(&self, device: &Device) -> zosam::Result<Net> {
///         Ok(Net { output: LinearConfig::new(self.inputs, 2).init(device) })
///     }
/// }
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("net.safetensors");
/// let (config, device) = (NetConfig { inputs: 8 }, Device::flex());
/// let card = Card::new(&config)?;
/// SaveOptions::new().with_card(card).save(&path, &config.init(&device)?, &Masks::dense())?;
/// let net = load::<NetConfig>(&path, &device)?.model;
/// assert_eq!(net.output.weight.dims(), [8, 2]);
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
pub trait Configuration: Serialize + DeserializeOwned {
    /// The name of the family in files.
    const FAMILY: &'static str;
    /// Beginnings of the names of the classifiers' tensors: what starts afresh for other classes.
    const CLASSIFIERS: &'static [&'static str] = &[];

    /// The model.
    type Model: Module;

    /// A model with random weights.
    ///
    /// # Errors
    ///
    /// If there is no such model.
    fn init(&self, device: &Device) -> Result<Self::Model>;

    /// Number of classes, of a classifier.
    fn classes(&self) -> Option<usize> {
        None
    }

    /// Channels of the images, if they are fixed.
    fn channels(&self) -> Option<usize> {
        None
    }

    /// Height and width of the images, if they are fixed.
    fn image(&self) -> Option<[usize; 2]> {
        None
    }

    /// A model of a file with tensors of these shapes, to be [`adapted`](Self::adapted) once it is
    /// loaded.
    ///
    /// # Errors
    ///
    /// As [`init`](Self::init).
    fn init_for(
        &self,
        _shapes: &BTreeMap<String, Vec<usize>>,
        device: &Device,
    ) -> Result<Self::Model> {
        self.init(device)
    }

    /// The model of this configuration, of one with a file's weights that
    /// [`init_for`](Self::init_for) made.
    ///
    /// # Errors
    ///
    /// If it cannot be adapted.
    fn adapted(&self, model: Self::Model) -> Result<Self::Model> {
        Ok(model)
    }
}

#[cfg(feature = "models")]
mod bundled {
    use super::*;
    use crate::models::{
        Deit, DeitConfig, ImageNetResNet, ImageNetResNetConfig, ResNet, ResNetConfig, Vgg,
        VggConfig, WideResNet, WideResNetConfig,
    };

    macro_rules! bundled {
        ($($config:ty => $model:ty, $family:literal, [$($classifier:literal),*] $(, $more:item)*;)*) => {$(
            impl Configuration for $config {
                const FAMILY: &'static str = $family;
                const CLASSIFIERS: &'static [&'static str] = &[$($classifier),*];
                type Model = $model;

                fn init(&self, device: &Device) -> Result<$model> {
                    self.init(device)
                }

                fn classes(&self) -> Option<usize> {
                    Some(self.classes)
                }

                fn channels(&self) -> Option<usize> {
                    Some(self.channels)
                }

                $($more)*
            }
        )*};
    }

    bundled! {
        ResNetConfig => ResNet, "resnet", ["linear."];
        VggConfig => Vgg, "vgg", ["classifier."];
        WideResNetConfig => WideResNet, "wide-resnet", ["fc."];
        ImageNetResNetConfig => ImageNetResNet, "imagenet-resnet", ["fc."];
        DeitConfig => Deit, "deit", ["head.", "head_dist."],
            fn image(&self) -> Option<[usize; 2]> {
                Some(self.image)
            },
            /// With position embeddings for as many patches as the file's: a file does not say what
            /// grid they are of, and another number of them is taken for a square's.
            fn init_for(&self, shapes: &BTreeMap<String, Vec<usize>>, device: &Device) -> Result<Deit> {
                let tokens = shapes.get("pos_embed").and_then(|shape| shape.get(1));
                let special = 1 + usize::from(shapes.contains_key("dist_token"));
                let patches = tokens.map_or(0, |tokens| tokens.saturating_sub(special));
                let [rows, columns] = self.image.map(|side| side.checked_div(self.patch).unwrap_or(0));
                if patches == 0 || patches == rows * columns {
                    return self.init(device);
                }
                let size = [patches.isqrt() * self.patch; 2];
                self.clone().with_image(size).init(device)
            },
            /// Position embeddings for another number of patches are resampled.
            fn adapted(&self, model: Deit) -> Result<Deit> {
                let [rows, columns] = self.image.map(|side| side.checked_div(self.patch).unwrap_or(0));
                let [_, tokens, _] = model.pos_embed.dims();
                match tokens == rows * columns + 1 + usize::from(self.distilled) {
                    true => Ok(model),
                    false => model.resized(self.image),
                }
            };
    }
}
