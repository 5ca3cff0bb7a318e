//! The report as one page that needs no network.

use super::plan::Plan;
use super::table::{Entry, Table};

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:1240px;margin:2em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0}th,td{padding:.3em .8em;border-bottom:1px solid #ddd;text-align:right}\
th:first-child,td:first-child{text-align:left}th{cursor:pointer;border-bottom:2px solid #888}\
svg{max-width:100%;height:auto}code{background:#f3f3f3;padding:.1em .3em}";

/// Sorts a table by the column whose head is clicked.
const SORT: &str = "document.querySelectorAll('th').forEach(th=>th.onclick=()=>{\
const body=th.closest('table').tBodies[0],i=th.cellIndex,up=th.dataset.up!=='1';th.dataset.up=up?'1':'0';\
const key=r=>{const c=r.cells[i];return c.dataset.value===undefined?c.textContent:+c.dataset.value};\
[...body.rows].sort((a,b)=>{const x=key(a),y=key(b);\
return (typeof x===typeof y?(x>y)-(x<y):typeof x==='number'?-1:1)*(up?1:-1)}).forEach(r=>body.append(r))})";

/// Tables that sort, sentences, pictures.
pub fn page(
    plan: &Plan,
    tables: &[Table],
    sentences: &[String],
    curves: &[(String, String)],
    card: Option<&str>,
) -> String {
    let title = text(&plan.title);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style><h1>{title}</h1>\
         <p>{}</p><p>Options of all runs: <code>{}</code></p>",
        text(&plan.question),
        text(&plan.options)
    );
    page += &list(
        plan.assumed
            .iter()
            .map(|assumed| format!("assumed: {assumed}")),
    );
    page += "<h2>Comparisons</h2>";
    page += &list(sentences.iter().cloned());
    for table in tables {
        page += &format!("<h2>{}</h2><table><thead><tr>", text(&table.title));
        for name in &table.header {
            page += &format!("<th>{}</th>", text(name));
        }
        page += "</tr></thead><tbody>";
        for row in &table.rows {
            page += "<tr>";
            page += &row.iter().map(cell).collect::<String>();
            page += "</tr>";
        }
        page += "</tbody></table>";
    }
    for (_, svg) in curves {
        page +=
            &format!("<h2>Curves: mean over seeds, band from the lowest to the highest</h2>{svg}");
    }
    if let Some(svg) = card {
        page += &format!("<h2>Sharpness</h2>{svg}");
    }
    page + &format!("<script>{SORT}</script></html>\n")
}

fn list(items: impl Iterator<Item = String>) -> String {
    let items: String = items
        .map(|item| format!("<li>{}</li>", text(&item)))
        .collect();
    format!("<ul>{items}</ul>")
}

/// Orange is better than the row's baseline, blue is worse.
fn cell(entry: &Entry) -> String {
    let colour = if entry.better > 0.0 {
        "230,159,0"
    } else {
        "86,180,233"
    };
    let value = entry
        .value
        .map_or(String::new(), |value| format!(" data-value=\"{value}\""));
    let shade = 0.6 * entry.better.abs();
    let style = match shade > 0.0 {
        true => format!(" style=\"background:rgba({colour},{shade:.2})\""),
        false => String::new(),
    };
    format!("<td{value}{style}>{}</td>", text(&entry.text))
}

fn text(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
