//! (The founder is writing this module on branch engine2; see FOUNDER-NOTE.md.)
