//! The base of an image: users, certificate authorities, and the shared libraries of its binary.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::elf::Elf;
use super::layer::Tree;
use super::platform::Platform;
use super::read;

/// User of the process. As a number, since Kubernetes cannot tell from a name that it is not root.
pub(super) const USER: &str = "65532";

/// Home and working directory. The group root can write to it as well: `OpenShift` chooses the user, and that group.
pub(super) const HOME: &str = "home/nonroot";

const PASSWD: &str = "root:x:0:0:root:/root:/sbin/nologin\n\
                      nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n\
                      nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\nnonroot:x:65532:\n";

/// Order of the sources of host names, which glibc needs to be told.
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";

/// Adds what every base has.
pub(super) fn add_files(tree: &mut Tree, ca_certificates: &Path) -> Result<()> {
    let bundle = read(ca_certificates).context(
        "the certificate authorities are missing: install ca-certificates, or name a file with --ca-certificates",
    )?;
    let begin = b"-----BEGIN CERTIFICATE-----";
    if !bundle.windows(begin.len()).any(|window| window == begin) {
        bail!("{} has no certificate", ca_certificates.display());
    }
    tree.file("etc/ssl/certs/ca-certificates.crt", 0o644, bundle);
    tree.file("etc/passwd", 0o644, PASSWD.into());
    tree.file("etc/group", 0o644, GROUP.into());
    tree.file("etc/nsswitch.conf", 0o644, NSSWITCH.into());
    tree.directory("root", 0o700, (0, 0));
    tree.directory(HOME, 0o770, (65_532, 0));
    tree.directory("tmp", 0o1777, (0, 0));
    Ok(())
}

/// Adds the dynamic linker and every library that the binary needs, each at the path that it has in `sysroot`, and the
/// licences of the packages that they come from. Adds nothing for a static binary.
pub(super) fn add_libraries(
    tree: &mut Tree,
    platform: Platform,
    elf: &Elf,
    binary: &Path,
    sysroot: &Path,
) -> Result<()> {
    let sources = Sources { platform, sysroot };
    let mut added = BTreeSet::new();
    if let Some(interpreter) = &elf.interpreter {
        let path = interpreter.trim_start_matches('/');
        if !sysroot.join(path).is_file() {
            return Err(sources.missing(binary, interpreter));
        }
        sources.add(tree, path)?;
        added.insert(path.to_owned());
    }
    let mut queue: Vec<(String, String)> = needs(&binary.display().to_string(), elf);
    while let Some((user, name)) = queue.pop() {
        let path = sources.find(&name);
        let path = path.ok_or_else(|| sources.missing(Path::new(&user), &name))?;
        if !added.insert(path.clone()) {
            continue;
        }
        let library = sources.add(tree, &path)?;
        queue.extend(needs(&path, &library));
    }
    add_licences(tree, sysroot, &added)
}

/// Returns the libraries that a file needs, each with the name of the file.
fn needs(file: &str, elf: &Elf) -> Vec<(String, String)> {
    let needed = elf.needed.iter();
    needed.map(|name| (file.to_owned(), name.clone())).collect()
}

/// The system that has the libraries of a platform.
struct Sources<'a> {
    platform: Platform,
    sysroot: &'a Path,
}

impl Sources<'_> {
    /// Directories in which the dynamic linkers of Debian and of others search by default.
    fn directories(&self) -> [String; 6] {
        let own = self.platform.library_directory();
        [
            format!("lib/{own}"),
            format!("usr/lib/{own}"),
            "lib64".to_owned(),
            "usr/lib64".to_owned(),
            "lib".to_owned(),
            "usr/lib".to_owned(),
        ]
    }

    fn find(&self, name: &str) -> Option<String> {
        let paths = self
            .directories()
            .map(|directory| format!("{directory}/{name}"));
        paths
            .into_iter()
            .find(|path| self.sysroot.join(path).is_file())
    }

    /// Adds a library, if it is one of the platform.
    fn add(&self, tree: &mut Tree, path: &str) -> Result<Elf> {
        let place = self.sysroot.join(path);
        let bytes = read(&place)?;
        let elf = Elf::parse(&bytes).with_context(|| place.display().to_string())?;
        self.platform
            .check(&elf, &place)
            .with_context(|| self.advice())?;
        tree.file(path, 0o755, bytes);
        Ok(elf)
    }

    fn missing(&self, user: &Path, name: &str) -> anyhow::Error {
        let directories = self.directories().map(|directory| format!("/{directory}"));
        anyhow::anyhow!(
            "{} needs {name}, which {} does not have in {}. {}",
            user.display(),
            self.sysroot.display(),
            directories.join(", "),
            self.advice()
        )
    }

    fn advice(&self) -> String {
        format!(
            "Name the root of a {platform} system with --sysroot {platform}=DIRECTORY, or build a static binary.",
            platform = self.platform
        )
    }
}

/// Adds the licences of the Debian packages that have the libraries, and of the certificate authorities.
fn add_licences(tree: &mut Tree, sysroot: &Path, libraries: &BTreeSet<String>) -> Result<()> {
    let mut packages = BTreeSet::from(["ca-certificates".to_owned()]);
    // A path may lead through a link from /lib to /usr/lib, on either side.
    let names: BTreeSet<String> = libraries
        .iter()
        .flat_map(|path| {
            let path = path.strip_prefix("usr/").unwrap_or(path);
            [format!("/{path}"), format!("/usr/{path}")]
        })
        .collect();
    let lists = std::fs::read_dir(sysroot.join("var/lib/dpkg/info"));
    for list in lists.into_iter().flatten().flatten() {
        let file = list.file_name().to_string_lossy().into_owned();
        let Some(package) = file.strip_suffix(".list") else {
            continue;
        };
        let files = std::fs::read_to_string(list.path()).unwrap_or_default();
        if files.lines().any(|line| names.contains(line)) {
            let package = package.split(':').next().unwrap_or(package);
            packages.insert(package.to_owned());
        }
    }
    for package in packages {
        let path = format!("usr/share/doc/{package}/copyright");
        if sysroot.join(&path).is_file() && !tree.contains(&path) {
            tree.file(&path, 0o644, read(&sysroot.join(&path))?);
        }
    }
    Ok(())
}
