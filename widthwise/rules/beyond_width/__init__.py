"""Rules for what changes besides width: depth, batch, tokens and weight decay, each in force only where it is named."""
