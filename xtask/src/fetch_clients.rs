//! `cargo xtask fetch-clients`: the programs that try foreign Kafka clients on the embedded broker,
//! built or installed into `target/clients`, each from a file that pins every version.
//!
//! What a machine does not have and we may not install, or cannot fetch just now, is no failure:
//! one sentence says which clients are not tested then, here and in the file where tests look.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use farlog_testkit::clients::Language;

use crate::command::{self, Failure};
use crate::debian::{self, Needed};

/// The release of Go that builds franz-go where the one that is installed is older: fetched as Go
/// itself fetches releases, as a module.
const GO_RELEASE: &str = "1.24.13";

/// The first minor release of Go 1 that fetches a newer release by itself (`GOTOOLCHAIN`).
const GO_FETCHES_ITSELF: u32 = 21;

/// The first release of Node.js that kafkajs' codecs run on.
const NODE_MIN: u32 = 18;

/// The first minor release of Python 3 that the pinned clients are made for.
const PYTHON_MIN: u32 = 10;

pub(crate) fn run() -> Result<(), Failure> {
    for language in Language::ALL {
        let name = format!("fetch-clients {language}");
        if let Some(why) = command::step(&name, || fetch(language))? {
            println!("NOT RUN: {why}");
        }
    }
    Ok(())
}

/// Fetches what is not there; if this machine cannot have it, says why.
fn fetch(language: Language) -> Result<Option<String>, Failure> {
    let directory = language.directory();
    let failed = || format!("cannot write to {}", directory.display());
    fs::create_dir_all(&directory).map_err(Failure::while_doing(failed()))?;
    let lock = File::create(directory.join("lock")).map_err(Failure::while_doing(failed()))?;
    lock.lock().map_err(Failure::while_doing(failed()))?;
    if let Some(why) = missing(language)? {
        fs::write(language.absence(), &why).map_err(Failure::while_doing(failed()))?;
        return Ok(Some(why));
    }
    remove(language.absence())?;
    let sources = sources(language)?;
    if fs::read(language.marker()).is_ok_and(|marker| marker == sources) {
        return Ok(None);
    }
    remove(language.marker())?;
    let fetched = match language {
        Language::Go => build_go(&directory),
        Language::Node => install_node(&directory),
        Language::Python => install_python(&directory),
    };
    if let Err(failure) = fetched {
        // A registry that is out of reach must not hide what all other tests say.
        let why =
            format!("the {language} clients could not be fetched and are not tested: {failure}");
        fs::write(language.absence(), &why).map_err(Failure::while_doing(failed()))?;
        return Ok(Some(why));
    }
    fs::write(language.marker(), sources).map_err(Failure::while_doing(failed()))?;
    Ok(None)
}

fn remove(file: PathBuf) -> Result<(), Failure> {
    match fs::remove_file(&file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::new(format!("cannot remove {}: {error}", file.display())))
        }
        _ => Ok(()),
    }
}

/// All that was written for a language, one after the other.
fn sources(language: Language) -> Result<Vec<u8>, Failure> {
    let failed = || Failure::while_doing("reading the sources of clients");
    let mut files = Vec::new();
    for entry in fs::read_dir(language.sources()).map_err(failed())? {
        files.push(entry.map_err(failed())?.path());
    }
    files.sort();
    let mut text = Vec::new();
    for file in files.iter().filter(|file| file.is_file()) {
        text.extend(fs::read(file).map_err(failed())?);
    }
    Ok(text)
}

/// Why this machine cannot have the clients of a language; installs what it may.
fn missing(language: Language) -> Result<Option<String>, Failure> {
    let (needed, clients): (&[Needed], _) = match language {
        Language::Go => (&[debian::GO], "franz-go"),
        Language::Node => (&[debian::NODE, debian::NPM], "kafkajs"),
        Language::Python => {
            (&[debian::PYTHON], "librdkafka (confluent-kafka), aiokafka and kafka-python")
        }
    };
    if needed.iter().any(|one| !command::is_installed(one.program)) && debian::may_install() {
        debian::provide(needed)?;
    }
    let lacking: Vec<&str> = needed
        .iter()
        .filter(|one| !command::is_installed(one.program))
        .map(|one| one.program)
        .collect();
    if !lacking.is_empty() {
        let lacking = lacking.join(" and ");
        return Ok(Some(format!("without {lacking} on the PATH, {clients} are not tested")));
    }
    let old = match language {
        Language::Go => None,
        Language::Node => version_below("node", &["--version"], &["v"], NODE_MIN),
        Language::Python => {
            // Debian has the module that makes environments in a package of its own.
            if !succeeds("python3", &["-c", "import ensurepip, venv"]) {
                if debian::may_install() {
                    debian::install(&debian::PYTHON)?;
                }
                if !succeeds("python3", &["-c", "import ensurepip, venv"]) {
                    return Ok(Some(format!(
                        "without Python's venv (python3-venv of Debian), {clients} are not tested"
                    )));
                }
            }
            version_below("python3", &["--version"], &["Python 3."], PYTHON_MIN)
        }
    };
    Ok(old.map(|found| format!("with {found}, which is too old, {clients} are not tested")))
}

fn succeeds(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What a program calls itself, if the number after one of the prefixes is below the least.
fn version_below(program: &str, arguments: &[&str], prefix: &[&str], min: u32) -> Option<String> {
    let said = said(program, arguments)?;
    let number = number_after(&said, prefix)?;
    (number < min).then(|| format!("{program} {said}"))
}

fn number_after(text: &str, prefixes: &[&str]) -> Option<u32> {
    let rest = prefixes.iter().find_map(|prefix| Some(text.split_once(prefix)?.1))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn build_go(directory: &Path) -> Result<(), Failure> {
    let minor = said("go", &["env", "GOVERSION"]);
    let minor = minor.and_then(|said| number_after(&said, &["go1."])).unwrap_or_default();
    let mut go = Command::new("go");
    if minor < GO_FETCHES_ITSELF {
        go = Command::new(newer_go(directory)?.join("bin/go"));
    }
    // What the machine has is used if it is new enough.
    go.env("GOTOOLCHAIN", "auto");
    go.args(["build", "-mod=readonly", "-o"]).arg(directory.join("client")).arg(".");
    command::run(go.current_dir(Language::Go.sources()))
}

/// A newer Go, got by one that does not know yet how: its module, made ready to run.
fn newer_go(directory: &Path) -> Result<PathBuf, Failure> {
    let place = directory.join("go");
    if place.join("bin/go").exists() {
        return Ok(place);
    }
    let failed = || Failure::while_doing("fetching a newer release of Go");
    let modules = directory.join("modules");
    fs::create_dir_all(&modules).map_err(failed())?;
    fs::write(modules.join("go.mod"), "module farlog.test/release\n").map_err(failed())?;
    let version = format!("v0.0.1-go{GO_RELEASE}.{}", go_platform());
    let mut download = Command::new("go");
    download.args(["mod", "download", &format!("golang.org/toolchain@{version}")]);
    command::run(download.env("GOMODCACHE", &modules).current_dir(&modules))?;
    // Modules hold no executable files and are read-only.
    let found = modules.join(format!("golang.org/toolchain@{version}"));
    command::run(Command::new("chmod").args(["-R", "u+w"]).arg(&found))?;
    command::run(
        Command::new("chmod").args(["-R", "a+x"]).args([found.join("bin"), found.join("pkg/tool")]),
    )?;
    fs::rename(&found, &place).map_err(failed())?;
    Ok(place)
}

/// This machine, as Go calls it.
fn go_platform() -> String {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let system = if std::env::consts::OS == "macos" { "darwin" } else { std::env::consts::OS };
    format!("{system}-{architecture}")
}

fn install_node(directory: &Path) -> Result<(), Failure> {
    let sources = Language::Node.sources();
    for file in ["package.json", "package-lock.json", "client.js"] {
        let copied = fs::copy(sources.join(file), directory.join(file));
        copied.map_err(Failure::while_doing(format!("copying {file}")))?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--silent", "--ignore-scripts", "--no-audit", "--no-fund"]);
    command::run(npm.current_dir(directory))
}

fn install_python(directory: &Path) -> Result<(), Failure> {
    let place = directory.join("venv");
    command::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&place))?;
    let mut pip = Command::new(place.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--no-deps", "-r"]);
    command::run(pip.arg(Language::Python.sources().join("requirements.txt")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        assert_eq!(number_after("v20.20.2", &["v"]), Some(20));
        assert_eq!(number_after("Python 3.11.7", &["Python 3."]), Some(11));
        assert_eq!(number_after("go1.19.8", &["go1."]), Some(19));
        assert_eq!(number_after("devel", &["go1."]), None);
    }

    #[test]
    fn what_is_pinned_names_no_place_to_get_it_from() {
        for language in Language::ALL {
            let text = String::from_utf8(sources(language).expect("the sources are read"));
            let text = text.expect("sources are text");
            assert!(!text.contains("resolved"), "{language} names a registry");
            assert!(!text.contains("index-url"), "{language} names a registry");
        }
    }
}
