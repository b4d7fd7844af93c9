"""The task graph: recording → nodes → folded → placed → drawn, or said in words."""
