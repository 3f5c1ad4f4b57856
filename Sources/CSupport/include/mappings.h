#pragma once

/// Lets go of the program's code pages. Those that are still used come back from the page cache at their next use,
/// some at a time; those that only a start needs, such as the reading of a configuration, count to the process no more.
void sluice_release_code(void);
