"""What a message is made of: alphabets, data codings, headers, parts, and their reassembly."""
