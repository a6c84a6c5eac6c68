//! The JSON Schema of the native file, from the tables of its keys.

use serde_json::{Map, Value, json};

use super::scalar::Scalar;
use super::table::{Entries, Shape, Table};
use super::tables;

/// Pattern of a text with a variable, whose value the schema does not know.
const VARIABLE: &str = r"\$\{";

/// Returns the JSON Schema of the native file (draft 2020-12), for editors and other tools. It accepts every file that
/// the parser accepts. Texts with a grammar of their own, such as references and patterns, are checked by the parser
/// alone.
pub fn native_schema() -> Value {
    let tables = tables::all();
    let definitions: Map<String, Value> = tables
        .into_iter()
        .map(|table| (table.name.to_owned(), definition(table)))
        .collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Configuration of image-syncer",
        "$ref": reference(&tables::FILE),
        "$defs": definitions,
    })
}

fn reference(table: &Table) -> String {
    format!("#/$defs/{}", table.name)
}

fn definition(table: &'static Table) -> Value {
    let properties: Map<String, Value> = table
        .keys
        .iter()
        .map(|key| {
            let mut value = json!({"description": key.description});
            merge(&mut value, shape(&key.shape));
            (key.name.to_owned(), value)
        })
        .collect();
    let mut definition = json!({
        "description": table.description,
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    let required = table.keys.iter().filter(|key| key.is_required);
    let required: Vec<&str> = required.map(|key| key.name).collect();
    if !required.is_empty() {
        merge(&mut definition, json!({"required": required}));
    }
    if table.has_extensions {
        merge(&mut definition, json!({"patternProperties": {"^x-": true}}));
    }
    definition
}

/// Adds the members of an object to another.
fn merge(object: &mut Value, members: Value) {
    if let (Value::Object(object), Value::Object(members)) = (object, members) {
        object.extend(members);
    }
}

fn shape(shape: &'static Shape) -> Value {
    let schema = match shape {
        Shape::Either(shapes) => json!({"anyOf": shapes.iter().map(one).collect::<Vec<Value>>()}),
        other => one(other),
    };
    if shape.may_be_empty() {
        return json!({"anyOf": [schema, {"type": "null"}]});
    }
    schema
}

fn one(alternative: &'static Shape) -> Value {
    match alternative {
        Shape::Scalar(scalar) => self::scalar(*scalar),
        Shape::List(item, may_be_empty) => json!({
            "type": "array",
            "items": shape(item),
            "minItems": usize::from(!may_be_empty),
        }),
        Shape::Map(table) => json!({"$ref": reference(table)}),
        Shape::Entries(entries) => self::entries(entries),
        Shape::Either(_) => shape(alternative),
    }
}

fn entries(entries: &'static Entries) -> Value {
    json!({
        "type": "object",
        "additionalProperties": shape(&entries.value),
        "minProperties": usize::from(!entries.may_be_empty),
    })
}

fn scalar(scalar: Scalar) -> Value {
    let variable = json!({"type": "string", "pattern": VARIABLE});
    let value = match scalar {
        // `1.10` and `true` are texts for the parser.
        Scalar::Text | Scalar::Secret => return json!({"type": ["string", "number", "boolean"]}),
        Scalar::Boolean => {
            let words = ["true", "false", "yes", "no", "on", "off"];
            let spellings = words.iter().flat_map(|word| {
                let (first, rest) = word.split_at(1);
                let title = format!("{}{rest}", first.to_ascii_uppercase());
                [(*word).to_owned(), title, word.to_ascii_uppercase()]
            });
            let texts: Vec<Value> = spellings.map(Value::from).collect();
            json!({"anyOf": [{"type": "boolean"}, {"enum": texts}]})
        }
        Scalar::Count { least, most } => {
            let mut number = json!({"type": "integer", "minimum": least});
            if most < u64::MAX {
                merge(&mut number, json!({"maximum": most}));
            }
            json!({"anyOf": [number, {"type": "string", "pattern": "^[0-9]+$"}]})
        }
        Scalar::Choice(names) => {
            let numbers = names.iter().filter_map(|name| name.parse::<u64>().ok());
            let texts = names.iter().map(|name| Value::from(*name));
            let values: Vec<Value> = numbers.map(Value::from).chain(texts).collect();
            json!({"enum": values})
        }
        Scalar::Duration => json!({
            "anyOf": [
                {"const": 0},
                {"type": "string", "pattern": "^([0-9]+[smhdw]|0)$"},
            ]
        }),
        Scalar::Rate => json!({
            "anyOf": [
                {"type": "integer", "minimum": 65536},
                {"type": "string", "pattern": "^[0-9.]+ *[A-Za-z]*(/s)?$"},
            ]
        }),
        Scalar::Requests => json!({
            "anyOf": [
                {"type": "number", "minimum": 0.01, "maximum": 1_000_000},
                {"type": "string", "pattern": "^[0-9.]+$"},
            ]
        }),
    };
    match value {
        Value::Object(mut object) => match object.get_mut("anyOf") {
            Some(Value::Array(alternatives)) => {
                alternatives.push(variable);
                Value::Object(object)
            }
            _ => json!({"anyOf": [object, variable]}),
        },
        other => other,
    }
}
