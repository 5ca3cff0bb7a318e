//! DeiT: vision transformers for images of any size that is whole patches.

mod attention;
mod block;
mod config;
mod tangent;

pub use attention::Attention;
pub use block::{Block, DropPath, Mlp};
pub use config::DeitConfig;

use burn::module::{Module, Param};
use burn::tensor::module::interpolate;
use burn::tensor::ops::{InterpolateMode, InterpolateOptions};
use burn::tensor::{Int, Tensor};

use crate::error::{Error, Result};
use crate::nn::{Conv2d, LayerNorm, Linear};
use crate::tangent::cross_entropy;

/// Cuts an image into patches and projects each to a token.
#[derive(Module, Debug)]
pub struct PatchEmbedding {
    proj: Conv2d,
}

impl PatchEmbedding {
    /// `[batch, channels, height, width]` to `[batch, patches, width]`, row by row.
    fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        self.proj.forward(images).flatten(2, 3).swap_dims(1, 2)
    }
}

/// A vision transformer; build one with [`DeitConfig`].
///
/// Input `[batch, channels, height, width]` of the size that it was configured for, output logits
/// `[batch, classes]`. The parameters' names are timm's. Position embedding, tokens, norms and
/// biases are never sparse by default.
#[derive(Module, Debug)]
pub struct Deit {
    patch_embed: PatchEmbedding,
    cls_token: Param<Tensor<3>>,
    dist_token: Option<Param<Tensor<3>>>,
    pub(crate) pos_embed: Param<Tensor<3>>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    head: Linear,
    head_dist: Option<Linear>,
    /// Rows and columns of patches.
    grid: [usize; 2],
}

impl Deit {
    /// Logits `[batch, classes]`: those of the class token or, with a distillation token, the mean
    /// of both.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let (logits, distilled) = self.forward_heads(images);
        match distilled {
            Some(distilled) => (logits + distilled) * 0.5,
            None => logits,
        }
    }

    /// The logits of the class token and, where there is one, of the distillation token, which
    /// learn from labels and from a teacher.
    pub fn forward_heads(&self, images: Tensor<4>) -> (Tensor<2>, Option<Tensor<2>>) {
        let tokens = self
            .blocks
            .iter()
            .fold(self.embed(images), |tokens, block| block.forward(tokens));
        let tokens = self.norm.forward(tokens);
        let logits = self.head.forward(token(tokens.clone(), 0));
        let distilled = self.head_dist.as_ref();
        (logits, distilled.map(|head| head.forward(token(tokens, 1))))
    }

    /// Cross-entropy of images with labels `[batch]`, averaged over the batch, and the logits.
    pub fn loss(&self, images: Tensor<4>, labels: Tensor<1, Int>) -> (Tensor<1>, Tensor<2>) {
        let logits = self.forward(images);
        (cross_entropy(logits.clone(), labels, 1.0), logits)
    }

    /// Tokens with their positions, the class token first.
    fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        let patches = self.patch_embed.forward(images);
        let [batch, ..] = patches.dims();
        let repeated = |token: &Param<Tensor<3>>| token.val().expand([batch as i64, -1, -1]);
        let special = std::iter::once(&self.cls_token).chain(&self.dist_token);
        let mut tokens: Vec<Tensor<3>> = special.map(repeated).collect();
        tokens.push(patches);
        Tensor::cat(tokens, 1) + self.pos_embed.val()
    }

    /// The network for images of another size: the position embedding of the patches is resampled.
    ///
    /// Bicubic, without corner alignment and without antialiasing, as DeiT's authors do when they
    /// fine-tune at another resolution.
    ///
    /// # Errors
    ///
    /// If height or width are not whole patches.
    pub fn resized(mut self, image: [usize; 2]) -> Result<Self> {
        let patch = self.patch_embed.proj.kernel_size;
        let whole = |i: usize| image[i] > 0 && image[i].is_multiple_of(patch[i]);
        if !(whole(0) && whole(1)) {
            return Err(Error::Config {
                field: "image",
                value: format!("{image:?} in patches of {patch:?}"),
                valid: "a multiple of the patch size",
            });
        }
        let (old, new) = (self.grid, [image[0] / patch[0], image[1] / patch[1]]);
        let (id, embedding, _) = self.pos_embed.consume();
        let (is_autodiff, is_trained) = (embedding.is_autodiff(), embedding.is_require_grad());
        let mut embedding = resample(embedding.inner(), old, new);
        if is_autodiff {
            embedding = Tensor::from_inner(embedding).set_require_grad(is_trained);
        }
        self.pos_embed = Param::initialized(id, embedding);
        self.grid = new;
        Ok(self)
    }
}

/// One of the tokens, `[batch, width]`.
fn token(tokens: Tensor<3>, index: usize) -> Tensor<2> {
    tokens.narrow(1, index, 1).squeeze_dim(1)
}

/// Resamples the embedding of patches; that of the special tokens before them stays.
fn resample(embedding: Tensor<3>, [rows, columns]: [usize; 2], new: [usize; 2]) -> Tensor<3> {
    let [_, count, width] = embedding.dims();
    let special = count - rows * columns;
    let kept = embedding.clone().narrow(1, 0, special);
    let patches = embedding.narrow(1, special, rows * columns);
    let image = patches.swap_dims(1, 2).reshape([1, width, rows, columns]);
    let options = InterpolateOptions::new(InterpolateMode::Bicubic)
        .with_align_corners(false)
        .with_output_size(new);
    let image = interpolate(image, options);
    Tensor::cat(vec![kept, image.flatten(2, 3).swap_dims(1, 2)], 1)
}
