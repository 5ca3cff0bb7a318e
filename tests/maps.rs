//! The maps of the crate name every room.

use std::fs;
use std::path::Path;

/// The modules and folders right below `src`.
fn rooms() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join("src")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let rooms = names.map(|name| name.trim_end_matches(".rs").to_string());
    rooms.filter(|name| name != "lib").collect()
}

/// Whether a table has a row that begins with a room, or with a list that it is in.
fn has_row(map: &str, room: &str) -> bool {
    let rows = map
        .lines()
        .filter_map(|line| line.trim_start_matches("//! ").strip_prefix("| "));
    let mut names = rows.filter_map(|row| row.split('|').next());
    names.any(|names| names.contains(&format!("`{room}`")))
}

#[test]
fn every_room_is_on_both_maps() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for map in ["docs/ARCHITECTURE.md", "src/lib.rs"] {
        let text = fs::read_to_string(root.join(map)).unwrap();
        let missing: Vec<_> = rooms()
            .into_iter()
            .filter(|room| !has_row(&text, room))
            .collect();
        assert!(missing.is_empty(), "{map} does not name {missing:?}");
    }
}
