//! Runs the commands of "From an image on a registry to a backup" as the page shows them, with other names: a registry on
//! loopback stands for those of the world.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use plugin_registry_conformance::report;

use super::{Page, commands, repository};

/// `serve` on a directory, until it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(root: &Path) -> Self {
        let mut process = Command::new(&*commands::PROGRAM)
            .args(["serve", "--listen", "127.0.0.1:0", "--root"])
            .arg(root)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        let address = url.trim().trim_start_matches("http://").trim_end_matches('/').to_owned();
        Self { process, address }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_port() -> u16 {
    #[expect(clippy::disallowed_methods, reason = "a harness asks the system for a port and does not listen")]
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// What `inspect` says of an image, but its name.
fn inspected(image: &str, root: &Path) -> String {
    let output = commands::run(&["inspect", image, "--root", root.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{image}: {}", String::from_utf8_lossy(&output.stderr));
    text.lines().filter(|line| !line.starts_with("name ") && !line.starts_with("reference ")).collect()
}

#[test]
fn the_recipe_from_a_registry_to_a_backup_works() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        let name = "the_recipe_from_a_registry_to_a_backup_works";
        return report::skip("docs", name, "skopeo is not installed; ./test does", "pages");
    }
    let place = tempfile::tempdir().unwrap();
    let (remote, backup) = (place.path().join("remote"), place.path().join("backup"));
    let made = commands::run(&["quickstart", "--root", remote.to_str().unwrap()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = Server::start(&remote);

    let page = Page::read(&repository(), "docs/src/how-to/from-a-registry.md");
    let blocks = page.blocks().into_iter().filter(|block| block.language == "sh");
    let lines: Vec<String> = blocks.flat_map(|block| block.lines).collect();
    assert!(lines.len() > 15, "{lines:?}");
    let own = format!("127.0.0.1:{}", free_port());
    // A line that fails must not leave the page's own server behind.
    let end = "trap 'kill $serve 2>/dev/null' EXIT";
    let script = format!("set -eu\nserve=\n{end}\n{}\n", lines.join("\n"))
        .replace("docker.io/library/busybox:1.37", &format!("{}/quickstart/app:1.0", server.address))
        .replace("registry.example.com", &server.address)
        .replace("127.0.0.1:5000", &own);
    // The page's registries have certificates.
    let insecure = format!("[[registry]]\nlocation = \"{}\"\ninsecure = true\n", server.address);
    let settings = place.path().join(".config/containers");
    fs::create_dir_all(&settings).unwrap();
    fs::write(settings.join("registries.conf"), insecure).unwrap();
    fs::write(settings.join("policy.json"), r#"{"default": [{"type": "insecureAcceptAnything"}]}"#).unwrap();

    let programs = commands::PROGRAM.parent().unwrap().to_str().unwrap();
    let ran = Command::new("sh")
        .args(["-c", &script])
        .env_clear()
        .env("PATH", format!("{programs}:/usr/local/bin:/usr/bin:/bin"))
        .env("HOME", place.path())
        .current_dir(place.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{}: {said}\n{script}", ran.status);

    // Index, manifests and digests are those of the original, in the backup and after the way back.
    let original = inspected("quickstart/app:1.0", &remote);
    assert!(original.contains("sha256:"), "{original}");
    assert_eq!(inspected("backups/busybox:1.37", &backup), original);
    assert_eq!(inspected("restored/busybox:1.37", &remote), original);
}
