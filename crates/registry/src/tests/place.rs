//! What tests stand on: images in memory, a real registry, and one that does as a test says.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use image::{Images, Import};
use model::{ImageId, Reference};
use storage::Storage;
use store::Store;
use tempfile::TempDir;

use crate::{Credentials, Error, KeepBlobs, Message, Pull, Push, Registries, Settings};

/// An engine's images and registries, on tmpfs.
pub(super) struct Place {
    pub(super) images: Arc<Images>,
    pub(super) registries: Arc<Registries>,
    folder: TempDir,
}

impl Place {
    pub(super) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(super) fn keeping(keep_blobs: KeepBlobs) -> Self {
        let mut settings = Settings::default();
        settings.keep_blobs = keep_blobs;
        Self::with(settings)
    }

    pub(super) fn with(settings: Settings) -> Self {
        let folder = tempfile::Builder::new().prefix("longshore-registry-").tempdir_in("/dev/shm").unwrap();
        let root = folder.path();
        let store = Arc::new(Store::open(&root.join("store.db")).unwrap());
        let storage = Arc::new(Storage::open(root).unwrap());
        let (images, warnings) = Images::open(store, storage, &root.join("tmp-images")).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        let images = Arc::new(images);
        let registries = Registries::open(Arc::clone(&images), settings, &root.join("spool")).unwrap();
        Self { images, registries, folder }
    }

    /// An image of one layer with a file of this size that does not compress.
    pub(super) fn image(&self, name: &str, bytes: usize) -> ImageId {
        let import = Import { name: Some(name.parse().unwrap()), ..Import::default() };
        self.images.import(tar(name, bytes).as_slice(), &import).unwrap().0.id
    }

    pub(super) async fn pull(&self, name: &str) -> (Vec<Message>, Result<(), Arc<Error>>) {
        self.pull_as(name, Credentials::default()).await
    }

    pub(super) async fn pull_as(&self, name: &str, credentials: Credentials) -> (Vec<Message>, Result<(), Arc<Error>>) {
        follow(self.registries.pull(pull(name, credentials))).await
    }

    pub(super) async fn push(&self, name: &str) -> (Vec<Message>, Result<(), Arc<Error>>) {
        self.push_as(name, Credentials::default()).await
    }

    pub(super) async fn push_as(&self, name: &str, credentials: Credentials) -> (Vec<Message>, Result<(), Arc<Error>>) {
        let push = Push { reference: name.parse().unwrap(), credentials, meta: Vec::new(), endpoint_first: false };
        follow(self.registries.push(push).unwrap()).await
    }

    pub(super) fn remove(&self, name: &str) {
        self.images.remove(name, true, true, &Nobody).unwrap();
    }

    /// Files beneath the layers, the spool and the temporary folders: a failed pull leaves none.
    pub(super) fn remains(&self) -> Vec<PathBuf> {
        let folders = ["layers", "tmp", "spool", "tmp-images"];
        folders.iter().flat_map(|folder| list(&self.folder.path().join(folder))).collect()
    }

    /// Waits until what was begun is cleared away.
    pub(super) async fn remains_nothing(&self) {
        let late = Instant::now() + Duration::from_secs(60);
        while !self.remains().is_empty() {
            assert!(Instant::now() < late, "{:?}", self.remains());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn list(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
}

/// No containers.
struct Nobody;

impl image::Usage for Nobody {
    fn containers(&self, _image: &ImageId) -> Vec<image::Use> {
        Vec::new()
    }
}

pub(super) fn pull(name: &str, credentials: Credentials) -> Pull {
    Pull { credentials, ..Pull::of(name.parse().unwrap()) }
}

pub(super) async fn follow(mut following: crate::Following) -> (Vec<Message>, Result<(), Arc<Error>>) {
    let mut messages = Vec::new();
    while let Some(message) = following.next().await {
        messages.push(message);
    }
    (messages, following.outcome().await.map(|_| ()))
}

pub(super) fn says(messages: &[Message], status: &str) -> bool {
    messages.iter().any(|message| message.status == status)
}

/// The digest that a pull or push told at its end.
pub(super) fn digest(messages: &[Message]) -> String {
    let mut told = messages.iter().filter_map(|message| message.status.split("sha256:").nth(1));
    told.next_back().unwrap().split(' ').next().unwrap().to_owned()
}

pub(super) fn credentials(username: &str, password: &str) -> Credentials {
    Credentials { username: username.into(), password: password.into(), ..Credentials::default() }
}

/// A tar archive with one file that does not compress and differs with the seed.
pub(super) fn tar(seed: &str, bytes: usize) -> Vec<u8> {
    let mut state = seed
        .bytes()
        .fold(0x9e37_79b9_7f4a_7c15_u64, |state, byte| (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        | 1;
    let mut header = [0_u8; 512];
    header[..4].copy_from_slice(b"file");
    header[100..108].copy_from_slice(b"0000644\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{bytes:011o}\0").as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].copy_from_slice(b"        ");
    header[156] = b'0';
    header[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut tar = header.to_vec();
    for _ in 0..bytes.div_ceil(512) * 64 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        tar.extend_from_slice(&state.to_le_bytes());
    }
    let end = 512 + bytes;
    tar[end..].fill(0);
    tar.resize(tar.len() + 1024, 0);
    tar
}

/// Debian's `docker-registry` in a process of its own.
pub(super) struct Real {
    child: Child,
    pub(super) port: u16,
    _folder: TempDir,
}

/// A user of [`Real`] and the secret, with its hash.
pub(super) const USER: (&str, &str) = ("joe", "secret");
const HTPASSWD: &str = "joe:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n";

impl Real {
    pub(super) async fn start(with_password: bool) -> Self {
        Self::start_with(with_password, None).await
    }

    /// With TLS, by a certificate and its key in `certificates`.
    pub(super) async fn start_with(with_password: bool, certificates: Option<&Path>) -> Self {
        let late = Instant::now() + Duration::from_secs(60);
        let mut real = Self::spawn(with_password, certificates);
        while tokio::net::TcpStream::connect(("127.0.0.1", real.port)).await.is_err() {
            assert!(Instant::now() < late, "the registry does not answer");
            // Somebody was quicker to take its port.
            if real.child.try_wait().unwrap().is_some() {
                real = Self::spawn(with_password, certificates);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        real
    }

    fn spawn(with_password: bool, certificates: Option<&Path>) -> Self {
        let folder = tempfile::Builder::new().prefix("longshore-registry-").tempdir_in("/dev/shm").unwrap();
        let port = free_port();
        let root = folder.path().display();
        let mut config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:{port}\n"
        );
        if let Some(certificates) = certificates {
            let folder = certificates.display();
            config += &format!("  tls:\n    certificate: {folder}/server.pem\n    key: {folder}/server.key\n");
        }
        if with_password {
            std::fs::write(folder.path().join("htpasswd"), HTPASSWD).unwrap();
            config += &format!("auth:\n  htpasswd:\n    realm: test\n    path: {root}/htpasswd\n");
        }
        let path = folder.path().join("config.yml");
        std::fs::File::create(&path).unwrap().write_all(config.as_bytes()).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("these tests need Debian's docker-registry (apt-get install docker-registry)");
        Self { child, port, _folder: folder }
    }

    pub(super) fn name(&self, rest: &str) -> String {
        format!("127.0.0.1:{}/{rest}", self.port)
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing left to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A port that nobody has. None of those that the kernel gives to whoever asks for any: there it would be somebody else's soon.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut ports = std::iter::repeat_with(|| {
        let number = std::process::id().wrapping_mul(16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        20_000 + u16::try_from(number % 10_000).unwrap()
    });
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// The same image under another name.
pub(super) fn tag(place: &Place, image: &str, name: &str) {
    let name: Reference = name.parse().unwrap();
    place.images.name(&place.images.resolve(image).unwrap(), &name.with_default_tag()).unwrap();
}
