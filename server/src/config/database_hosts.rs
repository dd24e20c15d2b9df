//! Several hosts in `DATABASE_URL`, in libpq's syntax:
//! `postgres://user@one:5432,two:5432/database?target_session_attrs=read-write`.

/// Port of a host without one.
const DEFAULT_PORT: u16 = 5432;
/// Values of `target_session_attrs` that match what the server requires in any case.
const WRITABLE: [&str; 2] = ["read-write", "primary"];

/// Returns a URL that sqlx can parse, and, if there are several hosts, the list of hosts with their ports.
///
/// # Errors
///
/// If the list cannot be parsed, or selects servers that accept no writes. The error does not contain the URL, which
/// may contain a password.
pub(super) fn split_hosts(url: &str) -> Result<(String, Option<String>), String> {
    let Some((scheme, rest)) = url.split_once("://") else { return Ok((url.to_owned(), None)) };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
    let path = without_session_attrs(path)?;
    let at = if user.is_empty() { "" } else { "@" };
    let single = |host: &str| format!("{scheme}://{user}{at}{host}{path}");
    if !hosts.contains(',') {
        return Ok((single(hosts), None));
    }
    let listed: Vec<String> =
        hosts.split(',').enumerate().map(|(index, host)| with_port(index + 1, host)).collect::<Result<_, _>>()?;
    Ok((single(&listed[0]), Some(listed.join(","))))
}

fn with_port(number: usize, host: &str) -> Result<String, String> {
    let name_end = host.rfind(']').map_or(0, |end| end + 1);
    let (name, port) = match host[name_end..].rsplit_once(':') {
        Some((name, port)) => (&host[..name_end + name.len()], port.parse().map_err(|_| number)),
        None => (host, Ok(DEFAULT_PORT)),
    };
    match port {
        Ok(port) if !name.is_empty() => Ok(format!("{name}:{port}")),
        _ => {
            Err(format!("host {number} of the list must be a name with an optional port, such as `one:5432,two:5432`"))
        }
    }
}

/// Removes the parameter that sqlx does not know. Rejects a list in the query, which sqlx would use as a single host.
fn without_session_attrs(path: &str) -> Result<String, String> {
    let Some((path, query)) = path.split_once('?') else { return Ok(path.to_owned()) };
    let mut kept = Vec::new();
    for pair in query.split('&') {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "target_session_attrs" if WRITABLE.contains(&value) => {}
            "target_session_attrs" => {
                return Err("target_session_attrs must be read-write or primary, because the server writes".to_owned());
            }
            "host" | "hostaddr" | "port" if value.contains(',') || value.to_ascii_lowercase().contains("%2c") => {
                let place =
                    "several hosts belong before the database, as in `postgres://user@one:5432,two:5432/database`";
                return Err(format!("{key}= must be one value: {place}"));
            }
            _ => kept.push(pair),
        }
    }
    Ok(if kept.is_empty() { path.to_owned() } else { format!("{path}?{}", kept.join("&")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(url: &str) -> (String, Option<String>) {
        split_hosts(url).expect("a URL")
    }

    #[test]
    fn several_hosts_become_a_list_with_ports() {
        let (single, hosts) =
            split("postgres://user:p,w%40@one,two:5433,[::1]:7/db?sslmode=disable&target_session_attrs=read-write");
        assert_eq!(single, "postgres://user:p,w%40@one:5432/db?sslmode=disable");
        assert_eq!(hosts.as_deref(), Some("one:5432,two:5433,[::1]:7"));
    }

    #[test]
    fn one_host_stays_what_it_is() {
        for url in
            ["postgres://u:a,b@one/db", "postgresql://one:1", "postgres:///db?host=/run/pg", "postgres://@one/db"]
        {
            let (single, hosts) = split(url);
            assert_eq!(
                (single.replace("//one/", "//@one/").replace("//@", "//"), hosts),
                (url.replace("//@", "//"), None)
            );
        }
        assert_eq!(split("postgres://one/db?target_session_attrs=primary").0, "postgres://one/db");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_the_url() {
        for url in [
            "postgres://u:secret@one,/db",
            "postgres://u:secret@one:x,two/db",
            "postgres://u:secret@one:1,:2/db",
            "postgres://u:secret@one/db?target_session_attrs=any",
            "postgres://u:secret@one/db?target_session_attrs=standby",
            "postgres://u:secret@/db?host=one,two",
            "postgres://u:secret@/db?host=one%2Ctwo",
            "postgres://u:secret@one/db?port=1,2",
        ] {
            let error = split_hosts(url).expect_err(url);
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
