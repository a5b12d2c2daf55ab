//! Puts files into the cache in one step, so that no reader sees an incomplete file.

use std::{fs, io, path::Path};

use bitkv_bytes::unused_name;

/// Creates the folder of a file.
pub(crate) fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Makes `pointer`, the file `name` of a snapshot, a link to `blob`. The link is relative, so that the cache
/// can be moved. If symbolic links are not possible, `pointer` becomes a hard link, and if that fails too, a
/// copy.
pub(crate) fn link_blob(blob: &Path, pointer: &Path, name: &str) -> io::Result<()> {
    link_blob_with(symlink, blob, pointer, name)
}

/// Like [`link_blob`]; `symlink` creates the symbolic link.
fn link_blob_with(
    symlink: impl Fn(&Path, &Path) -> io::Result<()>,
    blob: &Path,
    pointer: &Path,
    name: &str,
) -> io::Result<()> {
    make_parent(pointer)?;
    let up = "../".repeat(2 + name.split('/').count() - 1);
    let etag = blob.file_name().unwrap_or_default();
    let temporary = unused_name(pointer);
    symlink(&Path::new(&up).join("blobs").join(etag), &temporary)
        .or_else(|_| fs::hard_link(blob, &temporary))
        .or_else(|_| fs::copy(blob, &temporary).map(drop))
        .and_then(|()| fs::rename(&temporary, pointer))
        .inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn blob() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let blob = folder.path().join("blobs/abc");
        make_parent(&blob).and_then(|()| fs::write(&blob, "content")).expect("written");
        (folder, blob)
    }

    #[cfg(unix)]
    #[test]
    fn links_are_relative_at_any_depth() {
        let (folder, blob) = blob();
        for (name, target) in [("a", "../../blobs/abc"), ("x/y/a", "../../../../blobs/abc")] {
            let pointer = folder.path().join("snapshots/c0ffee").join(name);
            link_blob(&blob, &pointer, name).expect("linked");
            assert_eq!(fs::read_link(&pointer).expect("a link"), Path::new(target));
            assert_eq!(fs::read_to_string(&pointer).expect("content"), "content");
        }
    }

    #[test]
    fn without_symbolic_links_the_content_is_linked_or_copied() {
        let (folder, blob) = blob();
        let pointer = folder.path().join("snapshots/c0ffee/a");
        let refused = |_: &Path, _: &Path| Err(io::Error::from(io::ErrorKind::PermissionDenied));
        link_blob_with(refused, &blob, &pointer, "a").expect("copied");
        assert!(!fs::symlink_metadata(&pointer).expect("there").is_symlink());
        assert_eq!(fs::read_to_string(&pointer).expect("content"), "content");
        assert!(blob.exists());
        let names = fs::read_dir(folder.path().join("snapshots/c0ffee")).expect("a folder").count();
        assert_eq!(names, 1, "no temporary file stays");
    }
}
