//! Fetching archives, against servers on this machine.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use flate2::{Compression, write::GzEncoder};
use md5::{Digest, Md5};
use zosam::Error;
use zosam::data::Archive;

/// How a server behaves.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Good,
    /// Hangs up after this many bytes, once.
    Drops(usize),
    /// Knows no ranges.
    Whole,
    /// Answers 404.
    Missing,
}

/// Serves one file until the test ends; returns its address and the ranges that were asked for.
fn serve(content: Vec<u8>, manner: Manner) -> (String, Arc<Mutex<Vec<usize>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/archive.tar.gz", listener.local_addr().unwrap());
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut requests = log.lock().unwrap();
            let start = answer(stream.unwrap(), &content, manner, requests.len());
            requests.push(start);
        }
    });
    (address, asked)
}

fn answer(stream: TcpStream, content: &[u8], manner: Manner, number: usize) -> usize {
    let mut start = 0;
    for line in BufReader::new(&stream).lines() {
        let line = line.unwrap().to_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.trim_end_matches('-').parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let (status, from) = match manner {
        Manner::Missing => ("404 Not Found", content.len()),
        Manner::Whole => ("200 OK", 0),
        _ if start > 0 => ("206 Partial Content", start),
        _ => ("200 OK", 0),
    };
    let body = &content[from..];
    let sent = match manner {
        Manner::Drops(count) if number == 0 => &body[..count],
        _ => body,
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut stream = stream;
    // The client may have hung up.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(sent));
    start
}

/// A small archive with the layout of CIFAR's.
fn archive() -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut noise = 1u32;
    let content: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (noise >> 24) as u8
    })
    .take(100_000)
    .collect();
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append_data(&mut header, "images/data.bin", &content[..])
        .unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

fn description(url: String, content: &[u8]) -> Archive {
    let digest = Md5::digest(content);
    Archive {
        url,
        md5: digest.iter().map(|byte| format!("{byte:02x}")).collect(),
        size: content.len() as u64,
        folder: "images".to_string(),
    }
}

fn is_complete(cache: &Path) -> bool {
    let names = std::fs::read_dir(cache).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let size = cache
        .join("images/data.bin")
        .metadata()
        .map(|file| file.len());
    names == ["images"] && size.ok() == Some(100_000)
}

#[test]
fn an_archive_is_fetched_once() {
    let cache = tempfile::tempdir().unwrap();
    let content = archive();
    let (url, asked) = serve(content.clone(), Manner::Good);
    let archive = description(url, &content);
    let mut last = (0, 0);
    let folder = archive
        .fetch(cache.path(), |done, all| last = (done, all))
        .unwrap();
    assert_eq!(folder, cache.path());
    assert_eq!(last, (archive.size, archive.size));
    assert!(is_complete(cache.path()));
    archive
        .fetch(cache.path(), |_, _| panic!("it is there"))
        .unwrap();
    assert_eq!(asked.lock().unwrap().len(), 1);
}

/// The second attempt asks for the rest only, or, of a server without ranges, takes the whole.
#[test]
fn an_interrupted_transfer_goes_on() {
    for (manner, ranges) in [(Manner::Drops(30_000), true), (Manner::Whole, false)] {
        let cache = tempfile::tempdir().unwrap();
        let content = archive();
        let (url, asked) = serve(content.clone(), manner);
        let archive = description(url, &content);
        if ranges {
            let error = archive.fetch(cache.path(), |_, _| ()).unwrap_err();
            assert!(matches!(error, Error::Download { .. }), "{error}");
            assert!(!cache.path().join("images").exists());
        } else {
            std::fs::write(cache.path().join("images.part"), &content[..30_000]).unwrap();
        }
        archive.fetch(cache.path(), |_, _| ()).unwrap();
        assert!(is_complete(cache.path()));
        assert_eq!(asked.lock().unwrap().last(), Some(&30_000));
    }
}

/// What is not the archive is never unpacked, and does not stand in the way of the next attempt.
#[test]
fn other_content_is_refused() {
    let cache = tempfile::tempdir().unwrap();
    let content = archive();
    let mut other = content.clone();
    other[5_000] ^= 1;
    let (url, _) = serve(other, Manner::Good);
    let error = description(url, &content)
        .fetch(cache.path(), |_, _| ())
        .unwrap_err();
    assert!(error.to_string().contains("MD5"), "{error}");
    assert_eq!(std::fs::read_dir(cache.path()).unwrap().count(), 0);
    let (url, _) = serve(content.clone(), Manner::Good);
    description(url, &content)
        .fetch(cache.path(), |_, _| ())
        .unwrap();
    assert!(is_complete(cache.path()));
}

#[test]
fn no_server_is_a_clear_error() {
    let cache = tempfile::tempdir().unwrap();
    let content = archive();
    let (url, _) = serve(content.clone(), Manner::Missing);
    let missing = description(url, &content)
        .fetch(cache.path(), |_, _| ())
        .unwrap_err();
    assert!(missing.to_string().contains("404"), "{missing}");
    // Nobody listens at a port that was just given back.
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let offline = description(format!("http://{free}/x"), &content);
    let offline = offline.fetch(cache.path(), |_, _| ()).unwrap_err();
    assert!(
        offline.to_string().contains("without a connection"),
        "{offline}"
    );
}
