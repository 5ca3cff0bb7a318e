//! DeiTs for inference.

use super::config::EPSILON;
use super::{Block, Deit};
use crate::error::{Error, Result};
use crate::inference::{Filters, Network, SparseNetwork};

impl Deit {
    /// The trained network on the CPU and without burn's tensors, for images of its own height and width.
    ///
    /// # Errors
    ///
    /// If the images are of another size (see [`resized`](Self::resized)), or have more than 8192 patches.
    pub fn to_sparse_network(&self, image: [usize; 2]) -> Result<SparseNetwork> {
        let patch = self.patch_embed.proj.kernel_size;
        let own = [0, 1].map(|axis| self.grid[axis] * patch[axis]);
        if image != own {
            return Err(Error::Config {
                field: "image",
                value: format!("{image:?}, the network's are {own:?}"),
                valid: "the network's size; `resized` changes it",
            });
        }
        let numbers = |tensor: burn::tensor::Tensor<3>| -> Vec<f32> {
            tensor.into_data().iter::<f32>().collect()
        };
        let special = std::iter::once(&self.cls_token).chain(&self.dist_token);
        let special: Vec<f32> = special.flat_map(|token| numbers(token.val())).collect();
        let positions = numbers(self.pos_embed.val());
        let embedding = Filters::of(&self.patch_embed.proj)?;
        let network = Network::new([embedding.channels(), image[0], image[1]]);
        let network = network.conv(embedding)?.tokens(&special, &positions);
        let mut blocks = self.blocks.iter();
        let network = blocks.try_fold(network, |network, block| block.append(network))?;
        let heads: Vec<_> = std::iter::once(&self.head).chain(&self.head_dist).collect();
        let network = network.first_tokens(heads.len());
        let network = network.layer_norm(&self.norm, EPSILON);
        Ok(network.conv(Filters::mean(&heads))?.finish())
    }
}

impl Block {
    fn append(&self, network: Network) -> Result<Network> {
        let body = network.branch().layer_norm(&self.norm1, EPSILON);
        let body = body.conv(Filters::linear(&self.attn.qkv))?;
        let body = body.attention(self.attn.heads);
        let (last, around) = (Filters::linear(&self.attn.proj), network.branch());
        let network = network.residual(body, last, around)?;

        let body = network.branch().layer_norm(&self.norm2, EPSILON);
        let body = body.conv(Filters::linear(&self.mlp.fc1))?.gelu();
        let (last, around) = (Filters::linear(&self.mlp.fc2), network.branch());
        network.residual(body, last, around)
    }
}
