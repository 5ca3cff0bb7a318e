//! The IDX format: a small header, then bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::error::{Error, Fault, Faulty, Result};

/// Element type of the only kind of IDX file read here.
const UNSIGNED_BYTE: u8 = 0x08;
const EXPECTED: &str = "expected an IDX file of unsigned bytes, plain or gzip";
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// A compressed file may declare, and then deliver, far more than anyone has memory for. The largest
/// set of the MNIST family (EMNIST by class) is 0.6 of this.
const MAXIMUM: usize = 1 << 30;

/// An array of bytes in the IDX format of MNIST.
///
/// The format is two zero bytes, an element type (here 8, unsigned byte), the number of dimensions,
/// each dimension as a big-endian `u32`, then the elements in row-major order. Gzip is recognised by
/// its first two bytes, whatever the name.
///
/// ```
/// use zosam::data::Idx;
///
/// let idx = Idx::from_bytes("labels", &[0, 0, 8, 1, 0, 0, 0, 2, 7, 9])?;
/// assert_eq!((idx.dimensions, idx.elements), (vec![2], vec![7, 9]));
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idx {
    /// Length of each dimension.
    pub dimensions: Vec<usize>,
    /// Elements in row-major order.
    pub elements: Vec<u8>,
}

impl Idx {
    /// Reads a file, plain or gzip, of at most 2³⁰ elements.
    ///
    /// # Errors
    ///
    /// [`Error::File`] if the file cannot be read, is not IDX with unsigned bytes, declares more
    /// than 2³⁰ elements, or holds more or fewer than it declares.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| {
            Error::file(path, format!("cannot be read; {EXPECTED}")).caused_by(error)
        })?;
        decompress(BufReader::new(file)).map_err(|fault| fault.in_file(path))
    }

    /// Reads bytes, plain or gzip, of at most 2³⁰ elements; `name` stands for the file in messages.
    ///
    /// # Errors
    ///
    /// As [`Idx::from_file`].
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self> {
        decompress(bytes).map_err(|fault| fault.in_file(name))
    }
}

fn decompress(mut source: impl BufRead) -> Faulty<Idx> {
    match source.fill_buf().map_err(explain)?.starts_with(&GZIP) {
        true => parse(MultiGzDecoder::new(source)),
        false => parse(source),
    }
}

fn parse(mut source: impl Read) -> Faulty<Idx> {
    let [zero_1, zero_2, element, rank] = word(&mut source)?;
    if [zero_1, zero_2, element] != [0, 0, UNSIGNED_BYTE] {
        return Err(format!(
            "starts with the bytes {zero_1:02x} {zero_2:02x} {element:02x}; \
             expected 00 00 08, the start of an IDX file of unsigned bytes"
        )
        .into());
    }
    let dimensions = (0..rank).map(|_| Ok(u32::from_be_bytes(word(&mut source)?) as usize));
    let dimensions = dimensions.collect::<Faulty<Vec<_>>>()?;
    let declared = element_count(&dimensions)?;
    // One more than declared tells whether anything follows, and makes gzip check its checksum.
    let mut elements = Vec::new();
    let mut source = source.take(declared as u64 + 1);
    source.read_to_end(&mut elements).map_err(explain)?;
    if elements.len() == declared {
        return Ok(Idx {
            dimensions,
            elements,
        });
    }
    let found = match elements.len() {
        found if found > declared => "more".to_string(),
        found => found.to_string(),
    };
    Err(format!(
        "{found} bytes follow the header; expected {declared}, as it declares {dimensions:?}"
    )
    .into())
}

fn word(source: &mut impl Read) -> Faulty<[u8; 4]> {
    let mut word = [0; 4];
    source.read_exact(&mut word).map_err(explain)?;
    Ok(word)
}

fn element_count(dimensions: &[usize]) -> Faulty<usize> {
    // A zero would hide how large the others are.
    let product = dimensions
        .iter()
        .try_fold(1_usize, |product, size| product.checked_mul(*size));
    match product {
        Some(count) if (1..=MAXIMUM).contains(&count) && !dimensions.is_empty() => Ok(count),
        _ => Err(format!(
            "the header declares {dimensions:?}; expected dimensions of 1 to {MAXIMUM} elements in all"
        )
        .into()),
    }
}

fn explain(error: io::Error) -> Fault {
    let fault = match error.kind() {
        ErrorKind::UnexpectedEof => "ends too early".into(),
        _ => Fault::by("cannot be read")(error),
    };
    fault.expected(EXPECTED)
}
