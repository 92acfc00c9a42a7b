"""The pieces that panes are made of, one file each. Widgets draw state; what happens is decided in `tui.state`."""
