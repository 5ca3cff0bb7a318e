//! JPEG and PNG files to pixels, with limits, and no mercy for damage.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::Color;
use crate::error::{Error, Result};

/// A small file may declare far more pixels than anyone has memory for. PIL warns above 0.9 of this.
const MAXIMUM_PIXELS: usize = 100_000_000;
const MAXIMUM_BYTES: u64 = 1 << 28;

/// Pixels as files have them: channel by channel at each position.
pub(super) struct Decoded {
    pub(super) pixels: Vec<u8>,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) color: Color,
}

type Decoding = std::result::Result<Decoded, String>;

/// Decodes a file by what it holds, not by its name.
pub(super) fn decode(path: &Path, color: Color) -> Result<Decoded> {
    let bytes = read(path).map_err(|error| Error::file(path, error))?;
    let decoded = match bytes.as_slice() {
        [0xff, 0xd8, ..] => jpeg(&bytes),
        [0x89, b'P', b'N', b'G', ..] => png(&bytes),
        _ => Err("neither JPEG nor PNG".into()),
    };
    let decoded = decoded.map_err(|reason| {
        Error::file(path, format!("{reason}; expected a whole JPEG or PNG file"))
    })?;
    Ok(decoded.into_color(color))
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a file"));
    }
    file.take(MAXIMUM_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAXIMUM_BYTES {
        true => Err(std::io::Error::other(format!(
            "more than {MAXIMUM_BYTES} bytes, the most that is read of an image"
        ))),
        false => Ok(bytes),
    }
}

fn limit(width: usize, height: usize) -> std::result::Result<(), String> {
    match width.checked_mul(height) {
        Some(1..=MAXIMUM_PIXELS) => Ok(()),
        _ => Err(format!(
            "{width} × {height} pixels, of at least 1 and at most {MAXIMUM_PIXELS}"
        )),
    }
}

/// Strict: zune-jpeg otherwise fills in grey for what it cannot read, and would still not notice that the last rows are missing.
fn jpeg(bytes: &[u8]) -> Decoding {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    if last([0xff, 0xd9]) < last([0xff, 0xda]) {
        return Err("the end of the image is missing".into());
    }
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let reason = |error| format!("{error:?}");
    decoder.decode_headers().map_err(reason)?;
    let (width, height) = decoder.dimensions().ok_or("no dimensions")?;
    limit(width, height)?;
    let (color, space) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (Color::Grey, ColorSpace::Luma),
        _ => (Color::Rgb, ColorSpace::RGB),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let pixels = decoder.decode().map_err(reason)?;
    whole(pixels, [height, width], color)
}

fn png(bytes: &[u8]) -> Decoding {
    let limits = png::Limits {
        bytes: 8 * MAXIMUM_PIXELS,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.ignore_checksums(false);
    let reason = |error: png::DecodingError| error.to_string();
    let info = decoder.read_header_info().map_err(reason)?;
    let (width, height) = (info.width as usize, info.height as usize);
    limit(width, height)?;
    let mut reader = decoder.read_info().map_err(reason)?;
    let size = reader.output_buffer_size().ok_or("too large")?;
    let mut pixels = vec![0; size];
    reader.next_frame(&mut pixels).map_err(reason)?;
    reader.finish().map_err(reason)?;
    let keep = |samples: usize, kept: usize, pixels: Vec<u8>| {
        let each = pixels.chunks_exact(samples);
        each.flat_map(|pixel| pixel[..kept].to_vec()).collect()
    };
    let (pixels, color) = match reader.output_color_type().0 {
        png::ColorType::Grayscale => (pixels, Color::Grey),
        png::ColorType::GrayscaleAlpha => (keep(2, 1, pixels), Color::Grey),
        png::ColorType::Rgba => (keep(4, 3, pixels), Color::Rgb),
        _ => (pixels, Color::Rgb),
    };
    whole(pixels, [height, width], color)
}

fn whole(pixels: Vec<u8>, [height, width]: [usize; 2], color: Color) -> Decoding {
    let expected = height * width * color.channels();
    match pixels.len() == expected {
        true => Ok(Decoded {
            pixels,
            height,
            width,
            color,
        }),
        false => Err(format!("{} values instead of {expected}", pixels.len())),
    }
}

impl Decoded {
    fn into_color(self, color: Color) -> Self {
        let pixels = match (self.color, color) {
            (Color::Grey, Color::Rgb) => self.pixels.iter().flat_map(|grey| [*grey; 3]).collect(),
            (Color::Rgb, Color::Grey) => self.pixels.chunks_exact(3).map(luminance).collect(),
            _ => self.pixels,
        };
        Self {
            pixels,
            color,
            ..self
        }
    }
}

fn luminance(pixel: &[u8]) -> u8 {
    let weighed = pixel.iter().zip([19595, 38470, 7471]);
    let sum: u32 = weighed
        .map(|(value, weight)| u32::from(*value) * weight)
        .sum();
    ((sum + 0x8000) >> 16) as u8
}
