//! The images that the programs bring along.

use zosam::data::{Images, idx_images};

macro_rules! asset {
    ($name:literal) => {
        include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/assets/fashion-mnist/",
            $name
        ))
    };
}

/// A balanced sample of Fashion-MNIST (Zalando Research, MIT licence): 6,000 and 1,000 images.
pub fn embedded() -> zosam::Result<(Images, Images)> {
    let train = idx_images(
        "embedded training",
        asset!("train-images-idx3-ubyte.gz"),
        asset!("train-labels-idx1-ubyte.gz"),
        10,
    )?;
    let test = idx_images(
        "embedded test",
        asset!("t10k-images-idx3-ubyte.gz"),
        asset!("t10k-labels-idx1-ubyte.gz"),
        10,
    )?;
    Ok((train, test))
}
