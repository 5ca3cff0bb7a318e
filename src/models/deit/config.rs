//! The family of DeiTs.

use burn::module::Param;
use burn::nn::conv::Conv2dConfig;
use burn::nn::{DropoutConfig, Initializer, LayerNormConfig, LinearConfig};
use burn::tensor::{Device, Distribution, Tensor};
use serde::{Deserialize, Serialize};

use super::attention::Attention;
use super::block::{Block, DropPath, EPSILON, Mlp};
use super::{Deit, PatchEmbedding};
use crate::error::{Error, Result, check};
use crate::nn::{Conv2d, LayerNorm, Linear};

/// Configuration of a DeiT, the vision transformer that trains without extra data.
///
/// | constructor | width | depth | heads | parameters (224², 1,000 classes) |
/// |---|---|---|---|---|
/// | [`tiny`](Self::tiny) | 192 | 12 | 3 | 5,717,416 |
/// | [`small`](Self::small) | 384 | 12 | 6 | 22,050,664 |
/// | [`base`](Self::base) | 768 | 12 | 12 | 86,567,656 |
///
/// Everything else is free: small images want small patches.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use burn::tensor::{Device, Tensor};
/// use zosam::models::DeitConfig;
/// let device = Device::flex();
/// let config = DeitConfig::tiny(10).with_image([32, 32]).with_patch(4).with_depth(2);
/// let model = config.init(&device)?;
/// let logits = model.forward(Tensor::zeros([2, 3, 32, 32], &device));
/// assert_eq!(logits.dims(), [2, 10]);
/// # }
/// # Ok::<(), zosam::Error>(())
/// ```
///
/// Touvron et al., "Training data-efficient image transformers & distillation through attention",
/// 2021 (arXiv 2012.12877), with timm's layer names, LayerNorm ε of 1e-6 and initialisation: linear
/// weights, tokens and position embedding from `N(0, 0.02²)` (timm truncates at ±2, which is a
/// hundred deviations away), biases 0, the patch embedding as PyTorch's convolutions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeitConfig {
    /// Height and width of the images.
    pub image: [usize; 2],
    /// Height and width of a patch; it has to divide the image's.
    pub patch: usize,
    /// Channels of the images.
    pub channels: usize,
    /// Number of classes.
    pub classes: usize,
    /// Width of the tokens; the heads have to divide it.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Heads of each attention.
    pub heads: usize,
    /// Hidden width of each MLP, in widths of the tokens.
    pub mlp_ratio: usize,
    /// Whether there is a distillation token with a classifier of its own.
    pub distilled: bool,
    /// Stochastic depth: chance by which the last block is left out, growing linearly from 0. In
    /// [0, 1).
    pub drop_path: f64,
}

impl DeitConfig {
    /// DeiT-Tiny for 224² images in patches of 16², with stochastic depth 0.1.
    pub fn tiny(classes: usize) -> Self {
        Self {
            image: [224, 224],
            patch: 16,
            channels: 3,
            classes,
            width: 192,
            depth: 12,
            heads: 3,
            mlp_ratio: 4,
            distilled: false,
            drop_path: 0.1,
        }
    }

    /// DeiT-Small.
    pub fn small(classes: usize) -> Self {
        Self {
            width: 384,
            heads: 6,
            ..Self::tiny(classes)
        }
    }

    /// DeiT-Base.
    pub fn base(classes: usize) -> Self {
        Self {
            width: 768,
            heads: 12,
            ..Self::tiny(classes)
        }
    }

    /// Sets height and width of the images.
    pub fn with_image(mut self, image: [usize; 2]) -> Self {
        self.image = image;
        self
    }

    /// Sets height and width of a patch.
    pub fn with_patch(mut self, patch: usize) -> Self {
        self.patch = patch;
        self
    }

    /// Sets the channels of the images.
    pub fn with_channels(mut self, channels: usize) -> Self {
        self.channels = channels;
        self
    }

    /// Sets the width of the tokens and the heads of each attention.
    pub fn with_width(mut self, width: usize, heads: usize) -> Self {
        self.width = width;
        self.heads = heads;
        self
    }

    /// Sets the number of blocks.
    pub fn with_depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// Adds a distillation token.
    pub fn distilled(mut self) -> Self {
        self.distilled = true;
        self
    }

    /// Sets the chance by which the last block is left out.
    pub fn with_drop_path(mut self, drop_path: f64) -> Self {
        self.drop_path = drop_path;
        self
    }

    /// A network with random weights.
    ///
    /// # Errors
    ///
    /// A size of 0, an image that is not whole patches, a width that the heads do not divide, a
    /// chance out of [0, 1).
    pub fn init(&self, device: &Device) -> Result<Deit> {
        self.validate()?;
        let normal = |shape: [usize; 3]| {
            let values = Tensor::random(shape, Distribution::Normal(0.0, 0.02), device);
            Param::from_tensor(values)
        };
        let [rows, columns] = self.grid();
        let tokens = if self.distilled { 2 } else { 1 };
        let patches = [self.patch, self.patch];
        let fan_in = (self.channels * self.patch * self.patch) as f64;
        let bound = fan_in.sqrt().recip();
        let torch = Initializer::Uniform {
            min: -bound,
            max: bound,
        };
        let projection = Conv2dConfig::new([self.channels, self.width], patches)
            .with_stride(patches)
            .with_initializer(torch);
        let rate = |block: usize| self.drop_path * block as f64 / (self.depth.max(2) - 1) as f64;
        Ok(Deit {
            patch_embed: PatchEmbedding {
                proj: Conv2d::new(&projection, device),
            },
            cls_token: normal([1, 1, self.width]),
            dist_token: self.distilled.then(|| normal([1, 1, self.width])),
            pos_embed: normal([1, tokens + rows * columns, self.width]),
            blocks: (0..self.depth)
                .map(|i| self.block(rate(i), device))
                .collect(),
            norm: norm(self.width, device),
            head: linear(self.width, self.classes, device),
            head_dist: (self.distilled).then(|| linear(self.width, self.classes, device)),
            grid: [rows, columns],
        })
    }

    /// Rows and columns of patches.
    fn grid(&self) -> [usize; 2] {
        self.image.map(|size| size / self.patch)
    }

    fn block(&self, rate: f64, device: &Device) -> Block {
        let hidden = self.width * self.mlp_ratio;
        Block {
            norm1: norm(self.width, device),
            attn: Attention {
                qkv: linear(self.width, 3 * self.width, device),
                proj: linear(self.width, self.width, device),
                heads: self.heads,
            },
            norm2: norm(self.width, device),
            mlp: Mlp {
                fc1: linear(self.width, hidden, device),
                fc2: linear(hidden, self.width, device),
            },
            drop_path: DropPath {
                dropout: DropoutConfig::new(rate).init(),
            },
        }
    }

    fn validate(&self) -> Result<()> {
        let invalid = |field, value: String, valid| {
            Err(Error::Config {
                field,
                value,
                valid,
            })
        };
        for (field, value) in [
            ("patch", self.patch),
            ("channels", self.channels),
            ("classes", self.classes),
            ("width", self.width),
            ("depth", self.depth),
            ("heads", self.heads),
            ("mlp_ratio", self.mlp_ratio),
        ] {
            if value == 0 {
                return invalid(field, value.to_string(), "at least 1");
            }
        }
        let whole = |size: &usize| *size > 0 && size.is_multiple_of(self.patch);
        if !self.image.iter().all(whole) {
            let value = format!("{:?} in patches of {}", self.image, self.patch);
            return invalid("image", value, "a multiple of the patch size");
        }
        if !self.width.is_multiple_of(self.heads) {
            let value = format!("{} in {} heads", self.width, self.heads);
            return invalid("width", value, "a multiple of the number of heads");
        }
        let valid = (0.0..1.0).contains(&self.drop_path);
        check(
            "drop_path",
            self.drop_path,
            valid,
            "at least 0 and less than 1",
        )
    }
}

fn norm(width: usize, device: &Device) -> LayerNorm {
    LayerNorm::new(&LayerNormConfig::new(width).with_epsilon(EPSILON), device)
}

fn linear(from: usize, to: usize, device: &Device) -> Linear {
    let weight = Initializer::Normal {
        mean: 0.0,
        std: 0.02,
    };
    let config = LinearConfig::new(from, to).with_initializer(weight);
    let mut linear = Linear::new(&config.with_bias(false), device);
    linear.bias = Some(Initializer::Zeros.init([to], device));
    linear
}
