//! The attributes of pinned initialisation, as far as the files under test use them. Values are
//! made where they are and moved: nothing under test depends on where it lies while it is made.

use proc_macro::{Delimiter, Group, TokenStream, TokenTree};

/// Takes `#[pin]` off the fields. With `PinnedDrop`, dropping calls what `pinned_drop` is put on.
#[proc_macro_attribute]
pub fn pin_data(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut name = None;
    let mut tokens = item.clone().into_iter();
    while let Some(token) = tokens.next() {
        if token.to_string() == "struct" {
            name = tokens.next();
            break;
        }
    }
    let mut made = without_pin(item);
    if let (false, Some(name)) = (arguments.is_empty(), name) {
        let drop = format!(
            "impl Drop for {name} {{
                fn drop(&mut self) {{
                    // SAFETY: it is not used after this.
                    PinnedDrop::drop(unsafe {{ core::pin::Pin::new_unchecked(self) }});
                }}
            }}"
        );
        made.extend(drop.parse::<TokenStream>().expect("an impl"));
    }
    made
}

/// Leaves the implementation as it is.
#[proc_macro_attribute]
pub fn pinned_drop(_arguments: TokenStream, item: TokenStream) -> TokenStream {
    item
}

fn without_pin(tokens: TokenStream) -> TokenStream {
    let mut made: Vec<TokenTree> = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) if is_pin(&group) => {
                made.pop();
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let inner = without_pin(group.stream());
                made.push(Group::new(Delimiter::Brace, inner).into());
            }
            other => made.push(other),
        }
    }
    made.into_iter().collect()
}

fn is_pin(group: &Group) -> bool {
    group.delimiter() == Delimiter::Bracket && group.stream().to_string() == "pin"
}
