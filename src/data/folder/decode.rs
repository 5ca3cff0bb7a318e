//! Image files to pixels, with limits, and no mercy for damage.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::{Color, ImageFolderConfig};
use crate::error::{Error, Fault, Faulty, Result};

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

/// The pixels as they are stored, and how a camera was held.
type Decoding = Faulty<(Decoded, Orientation)>;

/// Decodes a file by what it holds, not by its name.
pub(super) fn decode(path: &Path, config: &ImageFolderConfig) -> Result<Decoded> {
    let bytes = read(path).map_err(|error| Error::file(path, "cannot be read").caused_by(error))?;
    let decoded = match bytes.as_slice() {
        [0xff, 0xd8, ..] => jpeg(&bytes),
        [0x89, b'P', b'N', b'G', ..] => png(&bytes),
        _ => other(&bytes),
    };
    let oriented = decoded.and_then(|(decoded, orientation)| match config.exif_orientation {
        true => decoded.turned(orientation),
        false => Ok(decoded),
    });
    let expected = "expected a whole JPEG, PNG, WebP, GIF, BMP or TIFF file";
    let decoded = oriented.map_err(|fault| fault.expected(expected).in_file(path))?;
    Ok(decoded.into_color(config.color))
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

fn limit(width: usize, height: usize) -> Faulty {
    match width.checked_mul(height) {
        Some(1..=MAXIMUM_PIXELS) => Ok(()),
        _ => Err(
            format!("{width} × {height} pixels, of at least 1 and at most {MAXIMUM_PIXELS}").into(),
        ),
    }
}

/// Strict: zune-jpeg otherwise fills in grey for what it cannot read, and would still not notice that the last rows are missing.
fn jpeg(bytes: &[u8]) -> Decoding {
    // Cameras and phones append whole films to a picture; none of it is the picture.
    let end = end_of_jpeg(bytes).ok_or("the end of the image is missing")?;
    let bytes = &bytes[..end];
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let reason = Fault::by::<zune_jpeg::errors::DecodeErrors>("no whole JPEG file");
    decoder.decode_headers().map_err(reason)?;
    let (width, height) = decoder.dimensions().ok_or("no dimensions")?;
    limit(width, height)?;
    let (color, space) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (Color::Grey, ColorSpace::Luma),
        _ => (Color::Rgb, ColorSpace::RGB),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(space));
    let pixels = decoder.decode().map_err(reason)?;
    let exif = decoder.exif().map(Vec::as_slice);
    whole(pixels, [height, width], color, orientation(exif))
}

/// Where a JPEG image ends, by its own segments; `None` if it does not.
fn end_of_jpeg(bytes: &[u8]) -> Option<usize> {
    let mut at = 2;
    loop {
        // To the next marker: past the bytes of a scan, in which 0xff is followed by 0, and past anything that is no marker.
        while *bytes.get(at)? != 0xff || matches!(bytes.get(at + 1)?, 0 | 0xff) {
            at += 1;
        }
        let marker = bytes[at + 1];
        at += 2;
        match marker {
            0xd9 => return Some(at),
            // Restarts, and markers that stand alone.
            0x01 | 0xd0..=0xd8 => {}
            _ => {
                let length = [*bytes.get(at)?, *bytes.get(at + 1)?];
                at += usize::from(u16::from_be_bytes(length));
            }
        }
    }
}

fn orientation(exif: Option<&[u8]>) -> Orientation {
    let known = exif.and_then(Orientation::from_exif_chunk);
    known.unwrap_or(Orientation::NoTransforms)
}

fn png(bytes: &[u8]) -> Decoding {
    let limits = png::Limits {
        bytes: 8 * MAXIMUM_PIXELS,
    };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.ignore_checksums(false);
    let reason = Fault::by::<png::DecodingError>("no whole PNG file");
    let info = decoder.read_header_info().map_err(reason)?;
    let (width, height) = (info.width as usize, info.height as usize);
    limit(width, height)?;
    let mut reader = decoder.read_info().map_err(reason)?;
    let size = reader.output_buffer_size().ok_or("too large")?;
    let mut pixels = vec![0; size];
    reader.next_frame(&mut pixels).map_err(reason)?;
    reader.finish().map_err(reason)?;
    let orientation = orientation(reader.info().exif_metadata.as_deref());
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
    whole(pixels, [height, width], color, orientation)
}

/// WebP, GIF, BMP and TIFF: the first picture of those that have several.
fn other(bytes: &[u8]) -> Decoding {
    use image::ImageFormat::{Bmp, Gif, Tiff, WebP};

    let format = match image::guess_format(bytes) {
        Ok(format @ (WebP | Gif | Bmp | Tiff)) => format,
        _ => return Err(unknown(bytes).into()),
    };
    let reason = Fault::by::<image::ImageError>("its pixels cannot be read");
    let reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder = reader.into_decoder().map_err(reason)?;
    let (width, height) = decoder.dimensions();
    limit(width as usize, height as usize)?;
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(8 * MAXIMUM_PIXELS as u64);
    decoder.set_limits(limits).map_err(reason)?;
    // What is wrong with it is no reason to refuse the picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(reason)?;
    let size = [height as usize, width as usize];
    match picture.color().has_color() {
        true => whole(
            picture.into_rgb8().into_raw(),
            size,
            Color::Rgb,
            orientation,
        ),
        false => whole(
            picture.into_luma8().into_raw(),
            size,
            Color::Grey,
            orientation,
        ),
    }
}

/// What a file is that no decoder here reads.
fn unknown(bytes: &[u8]) -> String {
    let brand = bytes.get(4..12).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]).to_ascii_lowercase();
    let is = match brand {
        b"ftypheic" | b"ftypheix" | b"ftypmif1" | b"ftyphevc" => "HEIC",
        b"ftypavif" | b"ftypavis" => "AVIF",
        _ if text.contains("<!doctype html") || text.contains("<html") => "a web page",
        _ if text.contains("<svg") => "SVG",
        _ if bytes.is_empty() => "empty",
        _ => return "no image of a known format".into(),
    };
    format!("it is {is}, by its content")
}

fn whole(
    pixels: Vec<u8>,
    [height, width]: [usize; 2],
    color: Color,
    orientation: Orientation,
) -> Decoding {
    let expected = height * width * color.channels();
    if pixels.len() != expected {
        return Err(format!("{} values instead of {expected}", pixels.len()).into());
    }
    let decoded = Decoded {
        pixels,
        height,
        width,
        color,
    };
    Ok((decoded, orientation))
}

impl Decoded {
    /// Upright, as viewers show it.
    fn turned(self, orientation: Orientation) -> Faulty<Self> {
        let [width, height] = [self.width as u32, self.height as u32];
        let picture = match self.color {
            Color::Rgb => {
                image::RgbImage::from_raw(width, height, self.pixels).map(DynamicImage::from)
            }
            Color::Grey => {
                image::GrayImage::from_raw(width, height, self.pixels).map(DynamicImage::from)
            }
        };
        let mut picture = picture.ok_or("fewer pixels than its size says")?;
        picture.apply_orientation(orientation);
        Ok(Self {
            height: picture.height() as usize,
            width: picture.width() as usize,
            pixels: picture.into_bytes(),
            color: self.color,
        })
    }

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
