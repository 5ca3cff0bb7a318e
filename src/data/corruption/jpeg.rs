//! JPEG, at the qualities and with the halved colour resolution of PIL's encoder.

use crate::error::{Error, Result};

#[cfg(feature = "images")]
pub(super) fn jpeg(pixels: &[u8], shape: [usize; 3], level: usize) -> Result<Vec<u8>> {
    use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

    let quality = [80, 65, 58, 50, 40][level];
    let [channels, height, width] = shape;
    let invalid = |reason: String| Error::Config {
        field: "corruption.shape",
        value: format!("{shape:?} ({reason})"),
        valid: "an image that JPEG can hold, each side at most 65,535",
    };
    let sides = [width, height].map(u16::try_from);
    let [Ok(jpeg_width), Ok(jpeg_height)] = sides else {
        return Err(invalid("a side is too large".to_string()));
    };
    let color = match channels {
        3 => ColorType::Rgb,
        _ => ColorType::Luma,
    };
    let mut file = Vec::new();
    let mut encoder = Encoder::new(&mut file, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    // The method of libjpeg, which PIL uses.
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    encoder
        .encode(
            &interleaved(pixels, channels),
            jpeg_width,
            jpeg_height,
            color,
        )
        .map_err(|error| invalid(error.to_string()))?;
    let decoded = image::load_from_memory_with_format(&file, image::ImageFormat::Jpeg)
        .map_err(|error| invalid(error.to_string()))?;
    let decoded = match channels {
        3 => decoded.into_rgb8().into_raw(),
        _ => decoded.into_luma8().into_raw(),
    };
    let plane = |channel: usize| decoded.iter().skip(channel).step_by(channels).copied();
    Ok((0..channels).flat_map(plane).collect())
}

#[cfg(feature = "images")]
fn interleaved(pixels: &[u8], channels: usize) -> Vec<u8> {
    let size = pixels.len() / channels;
    let pixel =
        |position: usize| (0..channels).map(move |channel| pixels[channel * size + position]);
    (0..size).flat_map(pixel).collect()
}

#[cfg(not(feature = "images"))]
pub(super) fn jpeg(_pixels: &[u8], _shape: [usize; 3], _level: usize) -> Result<Vec<u8>> {
    Err(Error::Config {
        field: "corruption",
        value: "jpeg_compression".to_string(),
        valid: "another corruption, unless zosam is built with the feature `images`",
    })
}
