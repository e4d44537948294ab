"""Source trees and source archives: fetched, unpacked and copied."""
